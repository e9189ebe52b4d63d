import { afterEach, describe, expect, it, vi } from 'vitest';
import { parseArguments } from '../../bench/arguments.ts';

const PARTS = { capture: 'rows a second', latency: 'milliseconds' };

describe('the arguments of bench', () => {
  let said = '';
  const write = (text: string | Uint8Array): boolean => {
    said += String(text);
    return true;
  };
  const parsed = (...argv: string[]): ReturnType<typeof parseArguments> => {
    said = '';
    vi.spyOn(process.stdout, 'write').mockImplementation(write);
    vi.spyOn(process.stderr, 'write').mockImplementation(write);
    return parseArguments(argv, PARTS);
  };
  afterEach(() => vi.restoreAllMocks());

  it('take parts and options in any order', () => {
    expect(parsed('latency', '--quick', '--rounds', '3', '--json', 'a.json')).toEqual({
      parts: ['latency'],
      quick: true,
      rounds: 3,
      json: 'a.json',
      renew: false,
    });
    expect(parsed()).toMatchObject({ parts: [], quick: false, rounds: null, json: null });
  });

  it('measure nothing where help is asked for, and name every part', () => {
    expect(parsed('--help')).toBe(0);
    expect(said).toContain('--quick');
    expect(said).toMatch(/capture +rows a second/);
    expect(said).toMatch(/latency +milliseconds/);
  });

  it('are refused where they are not known, with the nearest option', () => {
    expect(parsed('--quik')).toBe(2);
    expect(said).toContain('--quick');
    expect(parsed('capure')).toBe(2);
    expect(said).toContain('capture, latency');
    expect(parsed('--rounds', '0')).toBe(2);
  });
});
