import { isIP } from 'node:net';
import type { SslOptions } from 'mysql2';

/**
 * The certificate must come from a known authority and be for DB_HOST. mysql2 has no way to compare
 * it with an IP address (its startTLS compares "localhost" then), so that the authority has to do.
 */
export function tlsOptions(host: string): SslOptions {
  return { verifyIdentity: isIP(host) === 0 };
}
