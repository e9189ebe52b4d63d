import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { describe, expect, it } from 'vitest';
import { systemClock } from '../../src/model/clock.ts';
import { DEFAULT_MODEL } from '../../src/model/data-model.ts';
import { connectionTrouble } from '../../src/connection-trouble.ts';
import { explainDatabaseError } from '../../src/database/explain.ts';
import { IterableHttp } from '../../src/sinks/iterable/http.ts';
import { explainKafkaError } from '../../src/topics/kafka/client.ts';

const DB = {
  host: 'db',
  port: 3306,
  user: 'me',
  password: 'hunter2',
  name: 'shop',
  ssl: false,
  timeZone: '+00:00',
  model: DEFAULT_MODEL,
};
const KAFKA = { brokers: ['k1:9092', 'k2:9092'], clientId: 'x', ssl: true, sasl: null };

function coded(code: string, message = code): Error {
  return Object.assign(new Error(message), { code });
}

describe('a connection that does not come about', () => {
  it('is known by its code, or by that of what caused it', () => {
    const wrapped = new Error('gave up', {
      cause: new Error('again', { cause: coded('ENOTFOUND') }),
    });
    expect(connectionTrouble(wrapped)?.kind).toBe('name');
    expect(connectionTrouble(coded('CERT_HAS_EXPIRED'))?.kind).toBe('certificate');
    expect(connectionTrouble(coded('ERR_SSL_WRONG_VERSION_NUMBER'))?.kind).toBe('no TLS');
    expect(connectionTrouble(coded('ER_PARSE_ERROR'))).toBeNull();
    expect(connectionTrouble('text')).toBeNull();
  });

  it.each([
    ['ECONNREFUSED', /db:3306 cannot be reached \(nothing listens there, .*; check DB_HOST and DB/],
    ['ENOTFOUND', /db:3306 cannot be reached \(this name is not known, .*; check DB_HOST, and/],
    ['ETIMEDOUT', /db:3306 cannot be reached \(no answer, .*; check DB_HOST and DB_PORT/],
    ['ER_ACCESS_DENIED_ERROR', /db:3306 refuses the user me; check DB_USER and DB_PASSWORD/],
    ['ER_BAD_DB_ERROR', /no database shop at db:3306; check DB_NAME, or run setup-db/],
    ['ER_TABLEACCESS_DENIED_ERROR', /; run GRANT SELECT ON `shop`\.\* TO 'me'@'%'$/],
    ['HANDSHAKE_NO_SSL_SUPPORT', /db:3306 has no TLS; set DB_SSL=false/],
    ['PROTOCOL_SEQUENCE_TIMEOUT', /db:3306 did not answer in time; .*doctor whether the index/],
  ])('to the database (%s) names the address, the setting and what to do', (code, sentence) => {
    const { message } = explainDatabaseError(coded(code), DB);
    expect(message).toMatch(sentence);
    expect(message).not.toContain('hunter2');
  });

  it.each([
    ['ECONNREFUSED', /; check KAFKA_BROKERS, and that it runs$/],
    ['ENOTFOUND', /; check KAFKA_BROKERS, and the DNS/],
    ['EHOSTUNREACH', /; check KAFKA_BROKERS, and the network/],
    ['SELF_SIGNED_CERT_IN_CHAIN', /; set NODE_EXTRA_CA_CERTS .*KAFKA_SSL/],
    ['ERR_SSL_WRONG_VERSION_NUMBER', /; set KAFKA_SSL=false/],
  ])('to Kafka (%s) does too', (code, advice) => {
    const error = new Error('Connection error', { cause: coded(code, 'SSL routines:x.c:78:\n') });
    const { message } = explainKafkaError(error, KAFKA);
    expect(message).toMatch(/^Kafka at k1:9092,k2:9092 cannot be reached \(/);
    expect(message).toContain(code);
    expect(message).toMatch(advice);
    expect(message).not.toContain('x.c');
  });

  it('to Iterable names the address and its setting, or the proxy and its setting', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    await new Promise((resolve) => server.close(resolve));
    const said = async (baseUrl: string, proxy: { url: string; except: string } | null) => {
      const options = { apiKey: 'planted-key', timeoutMs: 5_000, connectionsMax: 1 };
      await using http = new IterableHttp({ ...options, baseUrl, proxy, clock: systemClock });
      const reply = await http.checkKey();
      return reply.kind === 'retry' ? reply.message : reply.kind;
    };
    expect(await said(`http://127.0.0.1:${port}`, null)).toBe(
      `127.0.0.1:${port} of ITERABLE_API_BASE_URL: nothing listens there, ECONNREFUSED`,
    );
    expect(
      await said('https://iterable.test', { url: `http://me:word@127.0.0.1:${port}/`, except: '' }),
    ).toBe(`the proxy 127.0.0.1:${port} of HTTPS_PROXY: nothing listens there, ECONNREFUSED`);
  });
});
