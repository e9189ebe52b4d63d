import { basename, dirname } from 'node:path';
import { mkdirSync } from 'node:fs';
import pino from 'pino';
import pretty from 'pino-pretty';
import { createStream } from 'rotating-file-stream';
import { UsageError } from '../errors.ts';
import type { LogSettings } from '../settings/types.ts';
import type { Logger } from './logger.ts';

/** Paths of objects that could ever hold a secret, wherever they are logged. */
const REDACTED = ['apiKey', 'password', 'db.password', 'iterable.apiKey', 'sasl.password'];
const FILES_KEPT = 10;

export interface OpenLog extends AsyncDisposable {
  logger: Logger;
}

/** stderr: stdout belongs to results. People read lines on a terminal; programs read JSON. */
function consoleStream(isTerminal: boolean): pino.DestinationStream {
  if (!isTerminal) return pino.destination({ fd: 2, sync: true });
  return pretty({
    destination: 2,
    sync: true,
    ignore: 'pid,hostname',
    translateTime: 'SYS:HH:MM:ss',
    singleLine: true,
  });
}

/**
 * Console at the level asked for and the file at debug: 20 MB a file, ten kept, readable by the
 * owner alone. Everything is on disk when it is disposed of.
 */
export function openLog(settings: LogSettings, isTerminal: boolean): OpenLog {
  const streams: pino.StreamEntry[] = [];
  if (settings.level !== 'silent') {
    streams.push({ level: settings.level, stream: consoleStream(isTerminal) });
  }
  const file = settings.file === null ? null : openFile(settings.file);
  if (file !== null) streams.push({ level: 'debug', stream: file });
  const logger = pino(
    { level: 'debug', base: null, redact: REDACTED, timestamp: pino.stdTimeFunctions.isoTime },
    pino.multistream(streams),
  );
  return {
    logger,
    async [Symbol.asyncDispose]() {
      if (file !== null) await new Promise<void>((resolve) => file.end(resolve));
    },
  };
}

function openFile(path: string): ReturnType<typeof createStream> {
  try {
    mkdirSync(dirname(path), { recursive: true });
  } catch (error) {
    throw new UsageError(`LOG_FILE ${path} can not be written: ${(error as Error).message}`);
  }
  const stream = createStream(basename(path), {
    path: dirname(path),
    size: '20M',
    rotate: FILES_KEPT,
    mode: 0o600,
  });
  let complained = false;
  // A full disk must not stop the work: the console still has the log.
  stream.on('error', (error: Error) => {
    if (!complained) process.stderr.write(`log file ${path}: ${error.message}\n`);
    complained = true;
  });
  return stream;
}
