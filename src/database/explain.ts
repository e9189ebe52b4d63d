import { type TroubleKind, connectionTrouble } from '../connection-trouble.ts';
import { UnavailableError } from '../errors.ts';
import { readGrant } from './grants.ts';
import { shownName } from '../model/data-model.ts';
import type { DatabaseSettings } from '../settings/types.ts';

/** What to do about a connection that does not come about. */
const ROUTES: Readonly<Record<TroubleKind, string | null>> = {
  refused: 'check DB_HOST and DB_PORT, and that it runs',
  name: 'check DB_HOST, and the DNS of this machine',
  route: 'check DB_HOST and DB_PORT, and the network and firewalls on the way',
  closed:
    'see whether it restarts, and that DB_HOST and DB_PORT are those of a MySQL or MariaDB server',
  certificate: null,
  'no TLS': null,
};

/** Whether a TLS handshake failed by the certificate, and not by a link that broke. */
export function isCertificateError(error: unknown): boolean {
  const { code, message } = error as NodeJS.ErrnoException;
  return code === 'HANDSHAKE_SSL_ERROR' && /certificate|altnames/i.test(message);
}

/** One sentence for a database error: what, where, and what to do. Never the password. */
export function explainDatabaseError(error: unknown, db: DatabaseSettings): UnavailableError {
  const [what, todo] = explanation(error as DatabaseError, db);
  return new UnavailableError(what, { cause: error, ...(todo === undefined ? {} : { todo }) });
}

type DatabaseError = NodeJS.ErrnoException & { sqlMessage?: string };

/** What happened, and what to do where it does not follow from that. */
function explanation(error: DatabaseError, db: DatabaseSettings): [what: string, todo?: string] {
  const { code = '', message, sqlMessage } = error;
  const where = `the database at ${db.host}:${db.port}`;
  const said = sqlMessage ?? message;
  if (isCertificateError(error)) {
    return [
      `the certificate of ${where} is not accepted (${message})`,
      'set NODE_EXTRA_CA_CERTS to the file of the authority that signed it, and DB_HOST to a name that it is for',
    ];
  }
  const trouble = connectionTrouble(error);
  const todo = trouble === null ? null : ROUTES[trouble.kind];
  if (trouble !== null && todo !== null)
    return [`${where} cannot be reached (${trouble.why})`, todo];
  switch (code) {
    case 'ER_ACCESS_DENIED_ERROR':
      return [
        `${where} refuses the user ${db.user}`,
        `check DB_USER and DB_PASSWORD${db.ssl ? '' : ', and set DB_SSL=true if the user must come by TLS'}`,
      ];
    case 'ER_SECURE_TRANSPORT_REQUIRED':
      return [`${where} takes no connections without TLS`, 'set DB_SSL=true'];
    case 'ER_DBACCESS_DENIED_ERROR':
      return [
        `the user ${db.user} may not use the database ${db.name}`,
        `run ${readGrant(db)}, or check DB_NAME`,
      ];
    case 'ER_BAD_DB_ERROR':
      return [
        `there is no database ${db.name} at ${db.host}:${db.port}`,
        'check DB_NAME, or run setup-db',
      ];
    case 'ER_NO_SUCH_TABLE':
      return [
        `${said} in ${where}`,
        'run setup-db, or check DB_NAME, CUSTOMERS_TABLE and PAGE_VIEWS_TABLE',
      ];
    case 'ER_UNKNOWN_TIME_ZONE':
      return [
        `${where} does not know the time zone ${db.timeZone}`,
        'load the time zone tables (mysql_tzinfo_to_sql), or set DB_TIME_ZONE to an offset such as +02:00',
      ];
    case 'HANDSHAKE_NO_SSL_SUPPORT':
      return [`${where} has no TLS`, 'set DB_SSL=false, or set up TLS there'];
    case 'ER_HOST_NOT_PRIVILEGED':
    case 'ER_HOST_IS_BLOCKED':
      return [
        `${where} takes no connections from this machine (${said})`,
        'allow it there, or check DB_HOST',
      ];
    case 'PROTOCOL_SEQUENCE_TIMEOUT':
      return [
        `${where} did not answer in time`,
        `see whether it is stopped or overloaded, and by iterable-sync doctor whether the index of ${shownName(db.model.tables.page_views, 'page_views')} is missing`,
      ];
    case 'ER_TABLEACCESS_DENIED_ERROR':
    case 'ER_COLUMNACCESS_DENIED_ERROR':
      return [`${where} failed: ${said} (${code})`, `run ${readGrant(db)}`];
    default:
      return [`${where} failed: ${said}${code === '' ? '' : ` (${code})`}`];
  }
}
