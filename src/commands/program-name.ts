/** What the user types for this program: npx puts it on no PATH of a shell. */
export const programName = (): string =>
  process.env['npm_command'] === 'exec' ? 'npx iterable-sync' : 'iterable-sync';
