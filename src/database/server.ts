/** What the server says of itself that tells it from others. */
export interface ServerIdentity {
  flavour: 'mysql' | 'mariadb';
  /** server_uuid; MariaDB: server_uid where there is one; else the server id. */
  id: string;
}

/** The variables that `identityOf` reads. */
export const IDENTITY_VARIABLES: readonly string[] = [
  'version',
  'server_id',
  'server_uuid',
  'server_uid',
];

/** From the server's global variables, by name. */
export function identityOf(variables: ReadonlyMap<string, string>): ServerIdentity {
  return {
    flavour: /mariadb/i.test(variables.get('version') ?? '') ? 'mariadb' : 'mysql',
    id:
      variables.get('server_uuid') ??
      variables.get('server_uid') ??
      `server_id ${variables.get('server_id')}`,
  };
}
