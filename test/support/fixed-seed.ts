import fc from 'fast-check';
import { SEED } from './extent.ts';

// Properties draw from the same seed as everything else that is random in a run.
fc.configureGlobal({ seed: SEED });
