/** kafkajs' Connection (network/connection.js): a socket, and the requests over it. */
export interface ConnectionClass {
  prototype: { connect: (this: object) => Promise<unknown> };
}

const shared = new WeakSet<object>();

/**
 * Makes good where each request that finds kafkajs' connection closed opens a socket of its own,
 * while the last of them alone is kept: requests are then written to one that may not be open yet,
 * and the others stay open until the broker ends them. Here whoever comes meanwhile waits for the
 * socket that is being opened. Once for each class.
 */
export function connectOnce({ prototype }: ConnectionClass): void {
  if (shared.has(prototype)) return;
  shared.add(prototype);
  const { connect } = prototype;
  const opening = new WeakMap<object, Promise<unknown>>();
  prototype.connect = function (): Promise<unknown> {
    const underWay = opening.get(this);
    if (underWay !== undefined) return underWay;
    const opened = connect.call(this).finally(() => opening.delete(this));
    opening.set(this, opened);
    return opened;
  };
}
