/**
 * `npm audit` of what users install, with three outcomes: 0 nothing of high severity is known, 1 it
 * is (or npm says something else than it should), 75 this registry has no audit endpoint, so nothing
 * is known either way.
 */
import { spawnSync } from 'node:child_process';

const NOT_KNOWN = 75;
const ARGS = ['audit', '--omit=dev', '--audit-level=high', '--json'];
const AUDIT_MS_MAX = 120_000;

interface Report {
  /** The HTTP status, where the registry did not answer the question. */
  statusCode?: number;
  metadata?: { vulnerabilities?: Record<string, number> };
  vulnerabilities?: Record<string, { name: string; severity: string }>;
}

function parse(text: string): Report {
  try {
    return JSON.parse(text) as Report;
  } catch {
    return {};
  }
}

function main(): number {
  const { status, stdout } = spawnSync('npm', ARGS, {
    encoding: 'utf8',
    timeout: AUDIT_MS_MAX,
    env: { ...process.env, npm_config_audit: 'true' },
  });
  const report = parse(stdout);
  const counts = report.metadata?.vulnerabilities;
  if (counts === undefined) {
    if (report.statusCode === 404 || report.statusCode === 405) {
      process.stdout.write('the registry has no audit endpoint: nothing is known either way\n');
      return NOT_KNOWN;
    }
    process.stdout.write(`npm audit gave no report (it ended with ${status})\n`);
    return 1;
  }
  const grave = Object.values(report.vulnerabilities ?? {}).filter(({ severity }) =>
    ['high', 'critical'].includes(severity),
  );
  for (const { name, severity } of grave) process.stdout.write(`${name}: ${severity}\n`);
  process.stdout.write(`${grave.length} dependencies with known problems of high severity\n`);
  return status === 0 && grave.length === 0 ? 0 : 1;
}

process.exitCode = main();
