/**
 * Loaded before the program: sets its wall clock as an operator or NTP might. CLOCK is a list of
 * `after:by`, in milliseconds since the start; a jump adds to those before it.
 */
const jumps = (process.env['CLOCK'] ?? '').split(',').map((jump) => {
  const [after = 0, by = 0] = jump.split(':').map(Number);
  return { after, by };
});
const now = Date.now.bind(Date);

const jumped = (): number => {
  const aliveMs = performance.now();
  return jumps.reduce((time, { after, by }) => (aliveMs >= after ? time + by : time), now());
};
Date.now = jumped;
// `new Date()` is the machine's clock too.
const { Date: RealDate } = globalThis;
globalThis.Date = new Proxy(RealDate, {
  construct: (target, args: [], newTarget) =>
    Reflect.construct(target, args.length === 0 ? [jumped()] : args, newTarget) as Date,
});
