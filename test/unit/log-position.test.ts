import { describe, expect, it } from 'vitest';
import { mariadbGtidMembership } from '../../src/database/gtid-set.ts';
import { isPast, logPositionText, parseLogPosition } from '../../src/database/log-position.ts';

describe('a position in a log', () => {
  it('reads back as it was written, whatever the server is called', () => {
    for (const server of ['2c7a-uuid', 'B1wwN9D2/XWtC1R8s=', 'server_id 7', 'a/b:1/c']) {
      const position = { server, file: 'mysql-bin.000012', position: 4_294_967_296 };
      expect(parseLogPosition(logPositionText(server, position))).toEqual(position);
    }
  });

  it('is null where nothing of the kind stands', () => {
    for (const text of [undefined, '', 'binlog.000001:4', 'server/binlog', '/binlog.000001:4']) {
      expect(parseLogPosition(text)).toBeNull();
    }
  });

  it('counts files by their number, with more digits when need be', () => {
    const at = { file: 'log.999999', position: 10 };
    expect(isPast(at, { file: 'log.999999', position: 10 })).toBe(true);
    expect(isPast(at, { file: 'log.999999', position: 11 })).toBe(false);
    expect(isPast(at, { file: 'log.1000000', position: 4 })).toBe(false);
    expect(isPast({ file: 'log.1000000', position: 4 }, at)).toBe(true);
  });
});

describe('mariadbGtidMembership', () => {
  it('says nothing of domains that the position does not have', () => {
    const has = mariadbGtidMembership('0-1-10, 3-7-18446744073709551615');
    expect(has('0-2-10')).toBe(true);
    expect(has('0-1-11')).toBe(false);
    expect(has('3-1-18446744073709551615')).toBe(true);
    expect(has('1-1-1')).toBeNull();
    expect(has('binlog.000001:4')).toBeNull();
    expect(mariadbGtidMembership('')('0-1-1')).toBeNull();
  });
});
