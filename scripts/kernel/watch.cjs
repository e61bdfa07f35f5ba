// @ts-check
// Files are looked at when a cell needs them, not when the system reports a change: an export is seen at once.
const fs = require('fs')
const path = require('path')

const [CREATED, CHANGED, DELETED] = [0, 1, 2] // TypeScript's FileWatcherEventKind

/** @param {string} file */
function stamp(file) {
  const s = fs.statSync(file, { throwIfNoEntry: false })
  return s && `${s.mtimeMs} ${s.size}`
}

/** @param {string} dir */
const names = dir => fs.existsSync(dir) ? fs.readdirSync(dir, { withFileTypes: true }) : []

/**
 * The folders in which a new file may answer an import: the root, those in it, and the packages.
 * @param {string} root
 */
function sourceFolders(root) {
  const folders = names(root).filter(e => e.isDirectory() && !e.name.startsWith('.')).map(e => path.join(root, e.name))
  const packages = path.join(root, 'node_modules')
  const scopes = names(packages).filter(e => e.name.startsWith('@')).map(e => path.join(packages, e.name))
  return [root, packages, ...folders, ...scopes]
}

/**
 * Stand-ins for `ts.sys.watchFile` and `watchDirectory`, and `poll()`, which calls them back.
 * @param {string} root
 */
function createWatch(root) {
  /** @type {Set<{ file: string, seen: string | undefined, call: (file: string, kind: number) => void }>} */
  const files = new Set()
  /** @type {Set<{ dir: string, call: (file: string) => void }>} */
  const dirs = new Set()
  /** @type {Map<string, { seen: string | undefined, names: Set<string> }>} */
  const folders = new Map()

  /** @param {string} dir */
  function newNames(dir) {
    const before = folders.get(dir), seen = stamp(dir)
    if (before && before.seen === seen) return []
    const now = new Set(names(dir).map(e => e.name))
    folders.set(dir, { seen, names: now })
    return before ? [...now].filter(name => !before.names.has(name)).map(name => path.join(dir, name)) : []
  }

  function poll() {
    for (const w of files) {
      const seen = stamp(w.file), before = w.seen
      w.seen = seen
      if (seen !== before) w.call(w.file, !before ? CREATED : seen ? CHANGED : DELETED)
    }
    for (const file of sourceFolders(root).flatMap(newNames)) {
      for (const w of dirs) if (file.startsWith(w.dir)) w.call(file)
    }
  }

  /** @template W @param {Set<W>} set @param {W} w */
  function keep(set, w) {
    set.add(w)
    return { close: () => { set.delete(w) } }
  }
  sourceFolders(root).forEach(newNames)

  return {
    poll,
    /** @param {string} file @param {(file: string, kind: number) => void} call */
    watchFile: (file, call) => keep(files, { file, seen: stamp(file), call }),
    /** @param {string} dir @param {(file: string) => void} call */
    watchDirectory: (dir, call) => keep(dirs, { dir, call }),
  }
}

module.exports = { createWatch, stamp }
