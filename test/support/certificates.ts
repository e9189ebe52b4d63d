import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const OPENSSL = 'openssl';

/**
 * An authority (`ca.pem`), a key and certificate for 127.0.0.1 and iterable.test that it signed (`server.key`,
 * `server.pem`; both in `keystore.pem`), and an authority that signed nothing (`other.pem`).
 * Returns where each file is.
 */
export function makeCertificates(): (name: string) => string {
  const folder = mkdtempSync(join(tmpdir(), 'iterable-sync-tls-'));
  const file = (name: string): string => join(folder, name);
  const make = (name: string, more: readonly string[]): void => {
    const key = ['-days', '2', '-nodes', '-newkey', 'rsa:2048', '-keyout', `${name}.key`];
    const args = ['req', '-x509', ...key, '-subj', `/CN=${name}`, '-out', `${name}.pem`, ...more];
    execFileSync(OPENSSL, args, { cwd: folder, stdio: 'ignore' });
  };
  make('ca', []);
  make('other', []);
  const names = [
    '-addext',
    'subjectAltName=IP:127.0.0.1,DNS:iterable.test',
    '-addext',
    'basicConstraints=CA:FALSE',
  ];
  make('server', ['-CA', 'ca.pem', '-CAkey', 'ca.key', ...names]);
  const parts = ['server.key', 'server.pem'].map((name) => readFileSync(file(name), 'utf8'));
  writeFileSync(file('keystore.pem'), parts.join(''));
  return file;
}
