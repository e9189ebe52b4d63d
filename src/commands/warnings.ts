/**
 * kafkajs 2.2.4 computes a negative timeout once in a while, which Node ≥ 24 warns of; it is
 * harmless (the timer fires at once) and not for users. Every other warning stays, as Node prints it
 * or, where `tell` says so by true, as that has told it.
 */
export function quietKnownWarnings(
  target: NodeJS.Process,
  tell: (warning: Error) => boolean = () => false,
): void {
  const listeners = target.listeners('warning');
  target.removeAllListeners('warning');
  target.on('warning', (warning) => {
    if (warning.name === 'TimeoutNegativeWarning' || tell(warning)) return;
    for (const listener of listeners) listener.call(target, warning);
  });
}
