/** Whose call it is, for the order in which calls go and for what their failures mean. */
export interface Caller {
  /** Tells callers apart; null: nobody in particular, another one each time. */
  id: string | null;
  /** It failed the last time: it goes behind the others, and says nothing about all of them. */
  isRetry: boolean;
}

export const ANYBODY: Caller = { id: null, isRetry: false };
