import { copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import { UnavailableError } from '../../src/errors.ts';
import { prepared } from './cache.ts';
import { run, which } from './commands.ts';
import { canInstallPackages, installPackages } from './debian.ts';
import type { Say } from './types.ts';

export interface Jars {
  /** Of the cache's folder: name and version. */
  folder: string;
  /** What it is, for people. */
  title: string;
  megabytes: number;
  /** The file beside this one that names the artifacts. */
  pom: string;
}

const JAVA_LEAST = 17;

/** The major version of the Java on the PATH; 0 for none. */
export async function javaVersion(): Promise<number> {
  if (which('java') === null) return 0;
  const text = await run('java', ['--version']).catch(() => '');
  return Number(/^\w+ (\d+)/.exec(text)?.[1] ?? 0);
}

export const hasJava = async (): Promise<boolean> => (await javaVersion()) >= JAVA_LEAST;

/**
 * The path of a Java that is new enough, installed when need be.
 * @throws UnavailableError where that can't be done.
 */
export async function prepareJava(cache: string, forWhat: string, say: Say): Promise<string> {
  if (!(await hasJava())) {
    await installPackages(cache, ['default-jre-headless'], forWhat, say);
    if (!(await hasJava())) {
      throw new UnavailableError(
        `${forWhat} needs Java >= ${JAVA_LEAST}: install it, or start Docker.`,
      );
    }
  }
  return which('java') ?? 'java';
}

/**
 * The folder with these jars and all that they need, fetched by Maven where it is not there.
 * @throws UnavailableError where Maven is missing and can't be installed.
 */
export async function fetchJars(cache: string, jars: Jars, say: Say): Promise<string> {
  const { folder, title, megabytes, pom } = jars;
  return await prepared(cache, folder, say, async (partial) => {
    if (which('mvn') === null) {
      if (!canInstallPackages()) {
        throw new UnavailableError(
          `Fetching ${title} needs Maven (mvn): install it, or start Docker.`,
        );
      }
      await installPackages(cache, ['maven'], `fetching ${title}`, say);
    }
    say(`fetching ${title} by Maven (${megabytes} MB)`);
    const copy = join(partial, 'pom.xml');
    await copyFile(join(import.meta.dirname, pom), copy);
    const options = [`-DoutputDirectory=${partial}`, '-DincludeScope=runtime'];
    await run('mvn', ['-q', '-B', '-f', copy, 'dependency:copy-dependencies', ...options]);
  });
}
