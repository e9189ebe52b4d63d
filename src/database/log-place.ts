/** A place in a server's log. */
export interface FilePlace {
  file: string;
  position: number;
}

/** Whether `at` is `place` or after it. Files are numbered, with more digits when need be. */
export function isPast(at: FilePlace, { file, position }: FilePlace): boolean {
  const numberOf = (name: string): number => Number(/\.(\d+)$/.exec(name)?.[1] ?? Number.NaN);
  if (at.file === file) return at.position >= position;
  return numberOf(at.file) > numberOf(file);
}

/** As the header `log_position` has it: which server's log, and the place in it. */
export function placeText(server: string, { file, position }: FilePlace): string {
  return `${server}/${file}:${position}`;
}

/** Reads what `placeText` wrote; null when it is something else. */
export function readPlace(text: string | undefined): (FilePlace & { server: string }) | null {
  // A server's id may have a slash in it, a file's name has none.
  const [, server, file, position] = /^(.+)\/([^/]+):(\d+)$/.exec(text ?? '') ?? [];
  if (server === undefined || file === undefined) return null;
  return { server, file, position: Number(position) };
}
