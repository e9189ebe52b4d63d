import { readSources } from '../settings/sources.ts';

/** Whether what goes to stderr is JSON, by LOG_FORMAT; asked also where the settings are wrong. */
export function isJsonConsole(configFile: string | null): boolean {
  return isJsonFormat(readFormat(configFile));
}

/** `auto` is JSON where no terminal reads it. */
export function isJsonFormat(format: string): boolean {
  return format === 'json' || (format !== 'pretty' && !process.stderr.isTTY);
}

function readFormat(configFile: string | null): string {
  const { env } = process;
  try {
    return (
      readSources(env, process.cwd(), configFile).values.get('LOG_FORMAT')?.toLowerCase() ?? 'auto'
    );
  } catch {
    return env['LOG_FORMAT']?.toLowerCase() ?? 'auto';
  }
}
