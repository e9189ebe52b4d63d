import type { Logger as PinoLogger } from 'pino';

/** The logger that is handed down; `src/observe/log.ts` makes the real one. */
export type Logger = PinoLogger;
