/** CPU seconds of the same piece of work, by the program and by a reference task, taken in turns. */
export interface Costs {
  own: number[];
  reference: number[];
}

/** Seconds of CPU that this process takes for a piece of work, user and system. */
export async function cpuSecondsOf(work: () => Promise<void>): Promise<number> {
  const before = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1e6;
}
