/** What keeps a connection from coming about, by what is to be done about it. */
export type TroubleKind = 'refused' | 'name' | 'route' | 'closed' | 'certificate' | 'no TLS';

export interface ConnectionTrouble {
  kind: TroubleKind;
  /** With the code where there is one: `nothing listens there, ECONNREFUSED`. */
  why: string;
}

const CODES: Readonly<Record<string, readonly [TroubleKind, string]>> = {
  ECONNREFUSED: ['refused', 'nothing listens there'],
  ENOTFOUND: ['name', 'this name is not known'],
  EAI_AGAIN: ['name', 'the name cannot be looked up'],
  ETIMEDOUT: ['route', 'no answer'],
  UND_ERR_CONNECT_TIMEOUT: ['route', 'no answer'],
  EHOSTUNREACH: ['route', 'no way there'],
  ENETUNREACH: ['route', 'no way there'],
  ECONNRESET: ['closed', 'the connection was closed'],
  EPIPE: ['closed', 'the connection was closed'],
  UND_ERR_SOCKET: ['closed', 'the connection was closed'],
  PROTOCOL_CONNECTION_LOST: ['closed', 'the connection was closed'],
};
/** OpenSSL's reasons and Node's, https://nodejs.org/api/tls.html#x509-certificate-error-codes. */
const CERTIFICATE =
  /^(CERT_|CRL_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|INVALID_CA|PATH_LENGTH_|INVALID_PURPOSE|HOSTNAME_MISMATCH|ERR_TLS_CERT_)/;
const NO_TLS = /^(ERR_SSL_|EPROTO$)/;

/** Of an error or of what caused it; null where it is about something else than the connection. */
export function connectionTrouble(error: unknown): ConnectionTrouble | null {
  if (!(error instanceof Error)) return null;
  const { code } = error as NodeJS.ErrnoException;
  if (typeof code === 'string') {
    const known = CODES[code];
    if (known !== undefined) return { kind: known[0], why: `${known[1]}, ${code}` };
    if (CERTIFICATE.test(code))
      return { kind: 'certificate', why: `its certificate is not accepted, ${code}` };
    if (NO_TLS.test(code)) return { kind: 'no TLS', why: `no TLS is spoken there, ${code}` };
  }
  return connectionTrouble(error.cause);
}
