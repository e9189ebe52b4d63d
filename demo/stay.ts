import { createInterface } from 'node:readline';
import type { Printer } from './print.ts';
import { duration } from './print.ts';
import type { Stage } from './stage.ts';
import { KATE, arrivalOf, insertView } from './views.ts';

/** Stays up for people at a terminal, until the signal is aborted. */
export async function stayUp(stage: Stage, printer: Printer, signal: AbortSignal): Promise<void> {
  const { simulator, program, database } = stage;
  const { host, port, user, password } = database.server;
  printer.line();
  printer.title('All of it is still running');
  printer.part('simulator', `${simulator.url}/`);
  printer.part('status', `${program.url}/`);
  printer.part('metrics', `${program.url}/metrics`);
  // The password of a server that was given is not ours to show.
  const secret = database.given || password === '' ? '' : ` -p${password}`;
  printer.part('database', `mysql -h ${host} -P ${port} -u ${user}${secret} ${database.name}`);
  printer.line();
  printer.say(
    "Enter inserts a pricing view of Kate's and shows its arrival. Ctrl-C ends the demo.",
  );
  const lines = createInterface({ input: process.stdin });
  let last = Promise.resolve();
  lines.on('line', () => {
    last = last
      .then(() => viewOfKate(stage, printer))
      .catch((error: unknown) => {
        if (!signal.aborted) printer.problem((error as Error).message);
      });
  });
  const { promise, resolve } = Promise.withResolvers<void>();
  signal.addEventListener('abort', () => resolve(), { once: true });
  if (signal.aborted) resolve();
  await promise;
  lines.close();
  await last;
}

async function viewOfKate(stage: Stage, printer: Printer): Promise<void> {
  const since = await stage.simulator.lastSeq();
  const { viewId, committingMs } = await insertView(stage, KATE.id);
  const { id, at } = await arrivalOf(stage, viewId, since);
  printer.seen(`${KATE.email}, ${id}: ${duration(at - committingMs)}`);
}
