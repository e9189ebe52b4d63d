import { isCertificateError } from '../../database/explain.ts';
import { UnavailableError } from '../../errors.ts';

/** What no waiting will mend: the server answers, and says no. */
const REFUSED = new Set([
  'ER_ACCESS_DENIED_ERROR',
  'ER_DBACCESS_DENIED_ERROR',
  'ER_BAD_DB_ERROR',
  'ER_UNKNOWN_TIME_ZONE',
  'HANDSHAKE_NO_SSL_SUPPORT',
  'ER_NO_SUCH_TABLE',
  'ER_SPECIFIC_ACCESS_DENIED_ERROR',
  'ER_MUST_CHANGE_PASSWORD_LOGIN',
  'ER_TABLEACCESS_DENIED_ERROR',
  'ER_COLUMNACCESS_DENIED_ERROR',
  'ER_NOT_SUPPORTED_AUTH_MODE',
  'ER_ACCOUNT_HAS_BEEN_LOCKED',
  'ER_SECURE_TRANSPORT_REQUIRED',
]);

function codeOf(error: unknown): string | undefined {
  const { code, cause } = error as { code?: unknown; cause?: unknown };
  if (typeof code === 'string') return code;
  return cause === undefined || cause === null ? undefined : codeOf(cause);
}

/**
 * Whether trying again can help. A server that is down, restarts or hangs up comes back; one that
 * refuses needs a person, and so does an UnavailableError without a database error behind it.
 */
export function isTransient(error: unknown): boolean {
  if (isCertificateError(error) || isCertificateError((error as Error).cause ?? {})) return false;
  const code = codeOf(error);
  if (code === undefined) return !(error instanceof UnavailableError);
  return !REFUSED.has(code);
}
