/** A position in a server's log. */
export interface FilePosition {
  file: string;
  position: number;
}

/** Whether `at` is the second one, or after it. Files are numbered, with more digits when need be. */
export function isPast(at: FilePosition, { file, position }: FilePosition): boolean {
  const numberOf = (name: string): number => Number(/\.(\d+)$/.exec(name)?.[1] ?? Number.NaN);
  if (at.file === file) return at.position >= position;
  return numberOf(at.file) > numberOf(file);
}

/** As the header `log_position` has it: which server's log, and the position in it. */
export function logPositionText(server: string, { file, position }: FilePosition): string {
  return `${server}/${file}:${position}`;
}

/** Reads what `logPositionText` wrote; null when it is something else. */
export function parseLogPosition(
  text: string | undefined,
): (FilePosition & { server: string }) | null {
  // A server's id may have a slash in it, a file's name has none.
  const [, server, file, position] = /^(.+)\/([^/]+):(\d+)$/.exec(text ?? '') ?? [];
  if (server === undefined || file === undefined) return null;
  return { server, file, position: Number(position) };
}
