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
  const { settings, logger, signal, print } = context;
  await using server = await startSimulator({
    ...simulatorDefaults,
    host: settings.http.host,
    port: flags.port,
    apiKeys: flags.key === null ? [] : [flags.key],
    allowedHosts: ['simulator'],
    log: logger,
  });
  print(`Iterable simulator at ${server.url}`);
  print(
    `  use it with   ITERABLE_API_BASE_URL=${server.url} ITERABLE_API_KEY=${flags.key ?? 'any'}`,
  );
  print(`  what it holds ${server.url}/`);
  await aborted(signal);
  return 0;
}
