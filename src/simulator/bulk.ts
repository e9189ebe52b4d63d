/** The answer of the bulk endpoints: failures keyed by identifier, e-mail addresses lower-cased. */
import type { FieldDraft } from './fields.ts';
import type { Identity } from './requests.ts';
import type { Refusal } from './calls.ts';

const REASONS = ['invalid', 'notFound', 'forgotten', 'conflict', 'invalidData'] as const;
/** events/trackBulk has lists for these only; other failures show in `failCount` alone. */
const EVENT_REASONS = ['invalid', 'notFound', 'forgotten'] as const;
type Reason = (typeof REASONS)[number];

/** Where a refusal that a single call answers by its status shows up in a batch. */
function reasonOf({ status, code }: Refusal): Reason {
  if (code === 'ForgottenUserError') return 'forgotten';
  if (code === 'InvalidEmailAddressError') return 'invalid';
  if (status === 404 || code === 'UnknownEmailError') return 'notFound';
  return status === 409 ? 'conflict' : 'invalidData';
}

/** Gathers what fails in one batch, item by item. */
export class BulkResult {
  readonly #refusalOf: (email: string) => Refusal | null;
  readonly #emails = new Map<Reason, string[]>();
  readonly #userIds = new Map<Reason, string[]>();
  readonly #disallowedEventNames = new Set<string>();
  #failed = 0;

  constructor(refusalOf: (email: string) => Refusal | null) {
    this.#refusalOf = refusalOf;
  }

  /** Whether the item's user may be written; notes the failure otherwise. */
  admits(identity: Identity): boolean {
    const refusal = identity.email === null ? null : this.#refusalOf(identity.key);
    if (identity.valid && refusal === null) return true;
    const reason = identity.valid && refusal !== null ? reasonOf(refusal) : 'invalid';
    if (identity.email === null) append(this.#userIds, reason, identity.userId ?? '');
    else append(this.#emails, reason, identity.key);
    this.#failed += 1;
    return false;
  }

  /** Whether events of this name are taken; notes the failure otherwise. */
  allows(eventName: string, disallowed: ReadonlySet<string>): boolean {
    if (!disallowed.has(eventName)) return true;
    this.#disallowedEventNames.add(eventName);
    this.#failed += 1;
    return false;
  }

  ofUsers(successCount: number, draft: FieldDraft): Record<string, unknown> {
    return this.#body(successCount, draft, REASONS);
  }

  ofEvents(successCount: number, draft: FieldDraft): Record<string, unknown> {
    return {
      ...this.#body(successCount, draft, EVENT_REASONS),
      disallowedEventNames: [...this.#disallowedEventNames],
    };
  }

  #body(
    successCount: number,
    draft: FieldDraft,
    reasons: readonly Reason[],
  ): Record<string, unknown> {
    const failedUpdates: Record<string, string[]> = {};
    for (const reason of reasons) {
      failedUpdates[`${reason}Emails`] = this.#emails.get(reason) ?? [];
      failedUpdates[`${reason}UserIds`] = this.#userIds.get(reason) ?? [];
    }
    return {
      successCount,
      failCount: this.#failed,
      // The two outer lists are an older form that Iterable still sends.
      invalidEmails: failedUpdates['invalidEmails'],
      invalidUserIds: failedUpdates['invalidUserIds'],
      createdFields: draft.createdFields,
      filteredOutFields: [...draft.filteredOut],
      failedUpdates,
    };
  }
}

function append(lists: Map<Reason, string[]>, reason: Reason, value: string): void {
  const list = lists.get(reason);
  if (list === undefined) lists.set(reason, [value]);
  else list.push(value);
}
