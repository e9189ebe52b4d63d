import { basename, dirname } from 'node:path';
import { closeSync, openSync } from 'node:fs';
import pino from 'pino';
import { prettyFactory } from 'pino-pretty';
import { createStream } from 'rotating-file-stream';
import { UsageError } from '../errors.ts';
import { makeFolder } from '../folders.ts';
import { oneLine, plainJson, secretRemover, withoutAddresses } from '../plain-text.ts';
import type { LogSettings } from '../settings/types.ts';
import { jsonLine } from './json-line.ts';
import type { Logger } from './logger.ts';
import type { Screen } from './screen.ts';

/** Fields whose value is a secret, wherever in an object they are (an error may carry its connection's). */
const SECRET_FIELD = /^(.*passw(or)?d.*|pwd|api[-_]?key|authorization|secret)$/i;
const FILES_KEPT = 10;
const INFO = 30;

export interface OpenLog extends AsyncDisposable {
  logger: Logger;
}

/** The same value with every text cleaned and every secret field blotted out. */
function cleaned(value: unknown, clean: (text: string) => string): unknown {
  if (typeof value === 'string') return clean(value);
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map((item) => cleaned(item, clean));
  return Object.fromEntries(
    Object.entries(value).map(([name, item]) => [
      clean(name),
      SECRET_FIELD.test(name) ? '(secret)' : cleaned(item, clean),
    ]),
  );
}

interface Audience {
  withoutSecrets: (text: string) => string;
  /** Below this level a line may name addresses. */
  addressesBelow: number;
  isPretty: boolean;
}

/**
 * Rewrites each line before it is written: no secret, no address where none may be, and one record
 * is one line, whatever its values hold.
 */
function guarded(stream: pino.DestinationStream, audience: Audience): pino.DestinationStream {
  const { withoutSecrets, addressesBelow, isPretty } = audience;
  return {
    write(line: string) {
      const record = JSON.parse(line) as { level: string };
      const level = pino.levels.values[record.level] ?? INFO;
      const clean = (text: string): string => {
        const withoutKeys = withoutSecrets(text);
        const open = level < addressesBelow ? withoutKeys : withoutAddresses(withoutKeys);
        // The printer for people prints what stands in a text; JSON escapes it by itself.
        return isPretty ? oneLine(open) : open;
      };
      stream.write(`${plainJson(cleaned(record, clean))}\n`);
    },
  };
}

/** stderr: stdout belongs to results. People read lines; programs read JSON. */
function consoleStream({ isPretty, screen }: LogConsole): pino.DestinationStream {
  if (!isPretty) return pino.destination({ fd: 2, sync: true });
  const format = prettyFactory({
    colorize: screen !== null,
    ignore: 'pid,hostname',
    translateTime: 'SYS:HH:MM:ss',
    singleLine: true,
  });
  const out = screen ?? pino.destination({ fd: 2, sync: true });
  return { write: (line: string) => void out.write(format(line)) };
}

/** Where the console's lines go. */
export interface LogConsole {
  /** For people; else JSON. */
  isPretty: boolean;
  /** null: no terminal. */
  screen: Screen | null;
}

/**
 * Console at the level asked for and the file at debug: 20 MB a file, ten kept, readable by the
 * owner alone. Everything is on disk when it is disposed of. `secrets` are in neither, whatever is
 * logged; addresses only in the file, below INFO.
 */
export function openLog(
  settings: Pick<LogSettings, 'level' | 'file'>,
  console: LogConsole,
  secrets: readonly string[],
): OpenLog {
  const withoutSecrets = secretRemover(secrets);
  const streams: pino.StreamEntry[] = [];
  const { isPretty } = console;
  if (settings.level !== 'silent') {
    const audience = { withoutSecrets, addressesBelow: 0, isPretty };
    streams.push({ level: settings.level, stream: guarded(consoleStream(console), audience) });
  }
  const say = (text: string): void => sayBeside(console, text);
  const file = settings.file === null ? null : openFile(settings.file, say);
  if (file !== null) {
    const audience = { withoutSecrets, addressesBelow: INFO, isPretty: false };
    streams.push({ level: 'debug', stream: guarded(file, audience) });
  }
  const logger = pino(
    {
      level: file === null ? settings.level : 'debug',
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    pino.multistream(streams),
  );
  return {
    logger,
    async [Symbol.asyncDispose]() {
      if (file !== null) await new Promise<void>((resolve) => file.end(resolve));
    },
  };
}

/** What the log itself has to say of its file. */
function sayBeside({ isPretty, screen }: LogConsole, text: string): void {
  const line = isPretty ? `${text}\n` : jsonLine('warn', text);
  if (screen === null) process.stderr.write(line);
  else screen.write(line);
}

function openFile(path: string, say: (text: string) => void): ReturnType<typeof createStream> {
  try {
    makeFolder(dirname(path));
    closeSync(openSync(path, 'a', 0o600));
  } catch (error) {
    throw new UsageError(`LOG_FILE ${path} cannot be written: ${(error as Error).message}`);
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
    if (!complained) say(`log file ${path}: ${error.message}`);
    complained = true;
  });
  return stream;
}
