/** Error codes of Kafka's protocol that decide something (kafka.apache.org/protocol, "Error Codes"). */
export const NO_ERROR = 0;
export const OFFSET_OUT_OF_RANGE = 1;
export const UNKNOWN_TOPIC_OR_PARTITION = 3;
export const LEADER_NOT_AVAILABLE = 5;
export const NOT_LEADER_OR_FOLLOWER = 6;
export const MESSAGE_TOO_LARGE = 10;
export const NOT_COORDINATOR = 16;
export const RECORD_LIST_TOO_LARGE = 18;
export const TOPIC_AUTHORIZATION_FAILED = 29;
export const INVALID_TIMESTAMP = 32;
const OUT_OF_ORDER_SEQUENCE_NUMBER = 45;
const DUPLICATE_SEQUENCE_NUMBER = 46;
const INVALID_PRODUCER_EPOCH = 47;
const INVALID_PRODUCER_ID_MAPPING = 49;
const UNKNOWN_PRODUCER_ID = 59;
const PRODUCER_FENCED = 90;

/** The broker and the sender don't agree on what the next number is: a new producer is as good. */
export const LOST_SEQUENCE: ReadonlySet<number> = new Set([
  OUT_OF_ORDER_SEQUENCE_NUMBER,
  DUPLICATE_SEQUENCE_NUMBER,
  INVALID_PRODUCER_EPOCH,
  INVALID_PRODUCER_ID_MAPPING,
  UNKNOWN_PRODUCER_ID,
  PRODUCER_FENCED,
]);
