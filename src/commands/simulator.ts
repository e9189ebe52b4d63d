import { simulatorDefaults } from '../simulator/options.ts';
import { startSimulator } from '../simulator/simulator.ts';
import type { CommandContext } from './context.ts';
import { aborted } from './shutdown.ts';

export interface SimulatorFlags {
  /** 0: any free one. */
  port: number;
  /** null: any key is accepted. */
  key: string | null;
}

/** A local Iterable until stopped; HTTP_HOST is the address it binds to. */
export async function simulator(context: CommandContext, flags: SimulatorFlags): Promise<number> {
  const { settings, logger, signal, say } = context;
  await using server = await startSimulator({
    ...simulatorDefaults,
    host: settings.http.host,
    port: flags.port,
    apiKeys: flags.key === null ? [] : [flags.key],
    allowedHosts: ['simulator'],
    log: logger,
  });
  const { url } = server;
  say(
    `Iterable simulator at ${url}
  use it with   ITERABLE_API_BASE_URL=${url} ITERABLE_API_KEY=${flags.key ?? 'any'}
  what it holds ${url}/`,
    { url },
  );
  await aborted(signal);
  return 0;
}
