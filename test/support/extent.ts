/** The short form is part of `npm test`; `npm run test:fault` is the long one. */
const IS_LONG = process.env['FAULT'] === 'long';

/** How much the fault tests do. */
export const EXTENT = IS_LONG
  ? { isLong: true, cuts: 40, frozenMs: 60_000, views: 1_000_000, brokerKills: 50 }
  : { isLong: false, cuts: 15, frozenMs: 12_000, views: 200_000, brokerKills: 3 };
