/** What this reads of a lock file of version 3; the rest stays as it is. */
interface Lock {
  packages: Record<string, LockedPackage>;
}

interface LockedPackage {
  dev?: boolean;
  devOptional?: boolean;
  resolved?: string;
  devDependencies?: Record<string, string>;
}

/** The lock file (its text) as the package ships it: without development's packages, and no address of a registry. */
export function packageLock(text: string): Lock {
  const lock = JSON.parse(text) as Lock;
  const packages: Lock['packages'] = {};
  for (const [path, entry] of Object.entries(lock.packages)) {
    if (entry.dev === true || entry.devOptional === true) continue;
    const { resolved: _resolved, devDependencies: _devDependencies, ...kept } = entry;
    packages[path] = kept;
  }
  return { ...lock, packages };
}
