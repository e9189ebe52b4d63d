/** The simulator without limits, on the port given, until it is ended. */
import { startSimulator } from '../../src/simulator/simulator.ts';

await startSimulator({ port: Number(process.argv[2]), limits: 'off' });
