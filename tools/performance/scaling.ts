import { type Measured, rounded } from './measured.ts';

const VIEWS_A_DAY = 1e9;
const DAY_SECONDS = 86_400;
const PEAK = 4;
const AVERAGE = VIEWS_A_DAY / DAY_SECONDS;
const AT_PEAK = AVERAGE * PEAK;
const UPDATES_PER_SECOND = 500;
/** Of the views, those of pages that count; an assumption that the page names. */
const PART_THAT_COUNTS = 0.2;
const USERS_OF_A_LOOK = 200;
/** Room that a partition or an instance is left. */
const SPARE = 2;

const ONE_BY_ONE = 'peers.catch-up-1.rowsPerSecond.iterable-sync';
const BY_THOUSANDS = 'peers.catch-up-1000.rowsPerSecond.iterable-sync';
const OTHER_PAGES = 'catch-up.Kafka-home';
const OF_THE_PAGES = 'catch-up.Kafka-pricing';
const PLAIN = 'message-bytes.backlog-none';
const ZSTD = 'message-bytes.backlog-zstd';
const SERVER_CPU = 'looks.server-200';

const gigabytesADay = (bytes: number): number => (bytes * VIEWS_A_DAY) / 1e9;

function capture(measured: Measured): string {
  const times = (id: string): string => measured.derived(id, (rate) => rate / AT_PEAK);
  return `One capture is active, and it reads the binlog in order: it can't be divided. It takes ${measured.text(ONE_BY_ONE)}
(\`${ONE_BY_ONE}\`) where every view is a transaction of its own, which is ${times(ONE_BY_ONE)} times the peak, and
${measured.text(BY_THOUSANDS)} (\`${BY_THOUSANDS}\`) where views are written by the thousand, ${times(BY_THOUSANDS)} times the
peak. Where that is below 1, it falls behind at the peak and catches up after it: its queue is bounded
and it stops reading, so memory stays as it is, and the rows wait in the binlog. Keep the binlog longer
than the longest stretch above the bound. What helps is a machine with faster cores (not more of them),
and writing views in larger transactions. A second capture is for standing by: it takes over within
ten seconds.`;
}

function topics(measured: Measured): string {
  const instances = measured.derived(OTHER_PAGES, (rate) => Math.ceil((AT_PEAK * SPARE) / rate));
  return `At the peak the topic gets ${rounded(AT_PEAK, 3)} messages a second. One deliver reads ${measured.text(OTHER_PAGES)}
of pages that don't count (\`${OTHER_PAGES}\`: they are not parsed) and ${measured.text(OF_THE_PAGES)} of
pages that do, by users who get nothing (\`${OF_THE_PAGES}\`). With twice the peak as room, the number of
instances that reading alone wants is ${instances}; start three, so that one may be lost. Partitions can't be taken away again
and a change of their number moves users: make 24 (\`KAFKA_PARTITIONS\`) from the start, which divides
evenly by 2, 3, 4, 6, 8 and 12 instances. Three brokers with replication 3 carry it.`;
}

function database(measured: Measured): string {
  const asked = AT_PEAK * PART_THAT_COUNTS;
  const looks = asked / USERS_OF_A_LOOK;
  const cores = measured.derived(SERVER_CPU, (ms) => (looks * ms) / 1000);
  return `Let one view in five be of a page that counts: at the peak ${rounded(asked)} users a second are to be looked
up, if none of them comes twice. A question is about up to ${USERS_OF_A_LOOK} of them: ${rounded(looks)} questions a
second. One takes ${measured.text('looks.p50-200')} (\`looks.p50-200\`) and ${measured.text(SERVER_CPU)}
(\`${SERVER_CPU}\`), so MySQL spends ${cores} cores on them. The index \`page_views_rule\` is what makes
that so; a user with thousands of views in the window costs more. Writing the views is MySQL's larger
work by far. Looks need not run on the primary, but a replica that lags makes them wait.`;
}

function iterable(measured: Measured): string {
  const updatesADay = UPDATES_PER_SECOND * DAY_SECONDS;
  const perUser = VIEWS_A_DAY * PART_THAT_COUNTS;
  return `This is what breaks first. ${UPDATES_PER_SECOND} users/update calls a second are ${(updatesADay / 1e6).toFixed(1)} million a day for the whole
project, however many delivers there are; they use ${measured.text('backlog.Kafka-1')} of it
(\`backlog.Kafka-1\`), four of them ${measured.text('backlog.Kafka-4')} (\`backlog.Kafka-4\`). A billion views with one
in five that counts are ${rounded(perUser / 1e6)} million a day: if each became two calls, by a user on the plan, it
would take ${(perUser / updatesADay).toFixed(1)} days to send one day.

It does not, for two reasons. Only users on the plan are sent. And deliver sends what the rule says of
a user now, not every message: while the limit holds a user up, all further views of that user become
one. So a user costs at most two calls for each time it is reached, and the calls of a day are bounded
by the number of different users, not of views. With up to ${(updatesADay / 1e6).toFixed(0)} million sends a day, a million active users
on the plan are reached about ${Math.floor(updatesADay / 1e6)} times a day each, however much they look; ten million, about ${Math.floor(updatesADay / 1e7)} times.
The delay grows before anything is lost: with U users waiting, the last one waits U ÷ ${UPDATES_PER_SECOND} seconds, a
million users ${rounded(1e6 / UPDATES_PER_SECOND / 60)} minutes. Ask Iterable for a higher limit (\`ITERABLE_USERS_UPDATE_PER_SECOND\`) when that is too
long; the bulk endpoints take 5,000 users a second (\`backfill --bulk\`: ${measured.text('backfill.bulk')}, \`backfill.bulk\`).`;
}

function disk(measured: Measured): string {
  const perDay = (id: string): string => measured.derived(id, gigabytesADay);
  const kept = (id: string): string =>
    measured.derived(id, (bytes) => (gigabytesADay(bytes) * 3 * 3) / 1000);
  return `A message takes ${measured.text(PLAIN)} (\`${PLAIN}\`), with \`KAFKA_COMPRESSION=zstd\`
${measured.text(ZSTD)} (\`${ZSTD}\`) in the large batches of such a rate. That is ${perDay(PLAIN)} GB a day, or
${perDay(ZSTD)} GB with zstd, for one copy. With replication 3 and \`retention.ms\` of three days the brokers hold
${kept(PLAIN)} TB, or ${kept(ZSTD)} TB with zstd. Retention has to be longer than the longest outage: a message
that went before deliver read it means that everyone eligible is looked at again. The other topics are
small: they grow with users and refusals, not with views.`;
}

/** docs/scaling.md. */
export function scalingPage(measured: Measured): string {
  const trial = measured.isTrial
    ? '\n**The figures below are of a trial at small sizes: see performance.md.**\n'
    : '';
  return `<!-- Written by npm run performance from performance.json. -->

# A billion views a day
${trial}
What it takes is arithmetic on the figures of [performance.md](performance.md), each named as in
\`performance.json\`; they are of ${measured.report.machine}, so a larger machine does better. A billion views a
day are ${rounded(AVERAGE, 3)} a second on average. Days have peaks; with a factor of ${PEAK} there are ${rounded(AT_PEAK, 3)} a second.

## Capture

${capture(measured)}

## Topics and deliver

${topics(measured)}

## MySQL

${database(measured)}

## Iterable's limit

${iterable(measured)}

## Disk

${disk(measured)}
`;
}
