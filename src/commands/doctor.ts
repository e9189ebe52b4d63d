export function doctor(_flags: { json: boolean; config: string | null }): Promise<number> {
  return Promise.resolve(0);
}
