import { VARINT_BYTES_MAX, VarintReader, writeVarint } from './varint.ts';

const UTF8_BYTES_MAX = 3;
/** From here on Node's own writing is faster, its call included. */
const LONG_TEXT = 24;

/** A record's headers as they stand in it: once for the many records that share them. */
export function encodeHeaders(headers: Readonly<Record<string, string>>): Buffer {
  let count = 0;
  let size = 0;
  for (const name in headers) {
    count += 1;
    size += VARINT_BYTES_MAX * 2 + (name.length + (headers[name] ?? '').length) * UTF8_BYTES_MAX;
  }
  const encoded = Buffer.allocUnsafe(VARINT_BYTES_MAX + size);
  let at = writeVarint(encoded, 0, count);
  for (const name in headers)
    at = writeText(encoded, writeText(encoded, at, name), headers[name] ?? '');
  return encoded.subarray(0, at);
}

function writeText(to: Buffer, at: number, text: string): number {
  const from = writeVarint(to, at, text.length);
  if (text.length >= LONG_TEXT) {
    const bytes = to.write(text, from);
    return bytes === text.length ? from + bytes : writeOther(to, at, text);
  }
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code > 127) return writeOther(to, at, text);
    to[from + i] = code;
  }
  return from + text.length;
}

/** More than ASCII. */
function writeOther(to: Buffer, at: number, text: string): number {
  const bytes = Buffer.byteLength(text);
  const from = writeVarint(to, at, bytes);
  return from + to.write(text, from);
}

/** What `encodeHeaders` was given. */
export function decodeHeaders(encoded: Uint8Array): Record<string, string> {
  const reader = new VarintReader(
    Buffer.from(encoded.buffer, encoded.byteOffset, encoded.length),
    0,
  );
  const text = (): string => reader.bytes(reader.next())?.toString('utf8') ?? '';
  const headers: Record<string, string> = {};
  for (let left = reader.next(); left > 0; left -= 1) {
    const name = text();
    headers[name] = text();
  }
  return headers;
}
