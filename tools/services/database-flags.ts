import type { Flavour } from './types.ts';

/** The password of `root` on every server that we start. They listen on 127.0.0.1 alone. */
export const ROOT_PASSWORD = 'test';

/**
 * The binlog as capture wants it. Durability stays as the server has it by default (sync_binlog=1,
 * innodb_flush_log_at_trx_commit=1), so that a measured latency is an honest one.
 */
export function binlogFlags(flavour: Flavour, gtid: boolean): string[] {
  const both = [
    '--server-id=1',
    '--log-bin=binlog',
    '--binlog-format=ROW',
    '--binlog-row-image=FULL',
    '--binlog-row-metadata=FULL',
  ];
  if (flavour === 'mariadb') return both;
  // Said both ways: MySQL 8.4 has GTIDs off by default, 9.7 has them on.
  const mode = gtid ? 'ON' : 'OFF';
  return [...both, `--gtid-mode=${mode}`, `--enforce-gtid-consistency=${mode}`];
}

/**
 * Reads `mysqld --version`. Debian's MariaDB installs a `mysqld` too, so the name of the program
 * says nothing.
 */
export function readVersionLine(line: string): { flavour: Flavour; version: string } | null {
  const version = /\bVer\s+(\S+)/.exec(line)?.[1];
  if (version === undefined) return null;
  return { flavour: /mariadb/i.test(line) ? 'mariadb' : 'mysql', version };
}

/** Whether `version` ("10.11.19-MariaDB-0+deb12u1") is at least `least` ("10.11"). */
export function isAtLeast(version: string, least: string): boolean {
  const numbers = (text: string) => (/^[\d.]+/.exec(text)?.[0] ?? '').split('.').map(Number);
  const has = numbers(version);
  for (const [place, wanted] of numbers(least).entries()) {
    const number = has[place] ?? 0;
    if (number !== wanted) return number > wanted;
  }
  return true;
}
