import { type Check, connectSource, readSourceInfo, checkSource } from '../capture/capture.ts';
