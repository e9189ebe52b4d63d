/**
 * kafkajs 2.2.4 computes a negative timeout once in a while, which Node ≥ 24 warns of; it is
 * harmless (the timer fires at once) and not for users. Every other warning stays.
 */
export function quietKnownWarnings(target: NodeJS.Process): void {
  const listeners = target.listeners('warning');
  target.removeAllListeners('warning');
  target.on('warning', (warning) => {
    if (warning.name === 'TimeoutNegativeWarning') return;
    for (const listener of listeners) listener.call(target, warning);
  });
}
