/** The short form is part of `npm test`; `npm run test:fault` is the long one. */
const IS_LONG = process.env['FAULT'] === 'long';

/** How much the fault tests do. */
export const EXTENT = IS_LONG
  ? {
      isLong: true,
      cuts: 40,
      frozenMs: 60_000,
      views: 1_000_000,
      brokerKills: 50,
      oddServers: 25,
      oddCases: 8,
    }
  : {
      isLong: false,
      cuts: 15,
      frozenMs: 12_000,
      views: 200_000,
      brokerKills: 3,
      oddServers: 3,
      oddCases: 4,
    };

/**
 * What all random choices of a run follow from: the same in every short run, another in every long
 * one. SEED=N repeats a run.
 */
export const SEED = Number(
  process.env['SEED'] ?? (IS_LONG ? Math.floor(Math.random() * 1e9) : 20_260_101),
);
