import { UnavailableError } from '../errors.ts';
import type { DatabaseSettings } from '../settings/types.ts';

const UNREACHABLE = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
]);

/** Whether a TLS handshake failed by the certificate, and not by a link that broke. */
export function isCertificateError(error: unknown): boolean {
  const { code, message } = error as NodeJS.ErrnoException;
  return code === 'HANDSHAKE_SSL_ERROR' && /certificate|altnames/i.test(message);
}

/** One sentence for a database error: what, where, and what to do. Never the password. */
export function explainDatabaseError(error: unknown, db: DatabaseSettings): UnavailableError {
  const { code, message, sqlMessage } = error as NodeJS.ErrnoException & { sqlMessage?: string };
  const where = `the database at ${db.host}:${db.port}`;
  const text = (): string => {
    if (code !== undefined && UNREACHABLE.has(code)) {
      return `${where} can not be reached (${code}); check DB_HOST and DB_PORT, and that it runs`;
    }
    if (isCertificateError(error)) {
      return `the certificate of ${where} is not accepted (${message}); set NODE_EXTRA_CA_CERTS to the file of the authority that signed it, and DB_HOST to a name that it is for`;
    }
    switch (code ?? '') {
      case 'ER_ACCESS_DENIED_ERROR':
        return `${where} refuses the user ${db.user}; check DB_USER and DB_PASSWORD${db.ssl ? '' : ', and set DB_SSL=true if the user must come by TLS'}`;
      case 'ER_SECURE_TRANSPORT_REQUIRED':
        return `${where} takes no connections without TLS; set DB_SSL=true`;
      case 'ER_DBACCESS_DENIED_ERROR':
        return `the user ${db.user} may not use the database ${db.name}; run GRANT SELECT ON \`${db.name}\`.* TO '${db.user}'@'%', or check DB_NAME`;
      case 'ER_BAD_DB_ERROR':
        return `there is no database ${db.name} at ${db.host}:${db.port}; check DB_NAME, or run setup-db`;
      case 'ER_NO_SUCH_TABLE':
        return `${sqlMessage ?? message} in ${where}; run setup-db, or check DB_NAME`;
      case 'ER_UNKNOWN_TIME_ZONE':
        return `${where} does not know the time zone ${db.timeZone}; load the time zone tables (mysql_tzinfo_to_sql), or set DB_TIME_ZONE to an offset such as +02:00`;
      case 'HANDSHAKE_NO_SSL_SUPPORT':
        return `${where} has no TLS; set DB_SSL=false, or set up TLS there`;
      case 'PROTOCOL_SEQUENCE_TIMEOUT':
        return `${where} did not answer in time`;
      default:
        return `${where} failed: ${sqlMessage ?? message}${code === undefined ? '' : ` (${code})`}`;
    }
  };
  return new UnavailableError(text(), { cause: error });
}
