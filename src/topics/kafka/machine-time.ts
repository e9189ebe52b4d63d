/** Epoch ms by this machine's clock, also where Date.now() runs on after a step back (steady-clock.ts). */
export const machineTimeMs = (): number => new Date().getTime();
