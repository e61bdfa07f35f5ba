// @ts-check
// Files are looked at when a cell needs them, not when the system reports a change:
// an export is seen at once.
const fs = require('fs')
const path = require('path')

const [CREATED, CHANGED, DELETED] = [0, 1, 2] // TypeScript's FileWatcherEventKind

/** @typedef {(file: string, kind: number) => void} FileChanged */
/** @typedef {{ file: string, seen: string | undefined, call: FileChanged }} FileWatch */
/** @typedef {{ dir: string, call: (file: string) => void }} FolderWatch */

/** @param {string} file */
function stamp(file) {
  const s = fs.statSync(file, { throwIfNoEntry: false })
  return s && `${s.mtimeMs} ${s.size}`
}

/** @param {string} dir */
const names = dir => fs.existsSync(dir) ? fs.readdirSync(dir, { withFileTypes: true }) : []

/** @param {string} dir @param {(name: string) => boolean} wanted */
function subfolders(dir, wanted) {
  const entries = names(dir).filter(e => e.isDirectory() && wanted(e.name))
  return entries.map(e => path.join(dir, e.name))
}

/**
 * The folders in which a new file may answer an import: the root, those in it, the packages.
 * @param {string} root
 */
function sourceFolders(root) {
  const packages = path.join(root, 'node_modules')
  const own = subfolders(root, name => !name.startsWith('.') && name !== 'node_modules')
  return [root, ...own, packages, ...subfolders(packages, name => name.startsWith('@'))]
}

/**
 * Stand-ins for `ts.sys.watchFile` and `watchDirectory`, and `poll()`, which calls them back.
 * @param {string} root
 */
function createWatch(root) {
  /** @type {Set<FileWatch>} */
  const files = new Set()
  /** @type {Set<FolderWatch>} */
  const folders = new Set()
  /** @type {Map<string, { seen: string | undefined, names: Set<string> }>} */
  const listings = new Map()

  /** @param {string} dir */
  function newFiles(dir) {
    const before = listings.get(dir), seen = stamp(dir)
    if (before && before.seen === seen) return []
    const now = new Set(names(dir).map(e => e.name))
    listings.set(dir, { seen, names: now })
    const added = before ? [...now].filter(name => !before.names.has(name)) : []
    return added.map(name => path.join(dir, name))
  }

  function poll() {
    for (const w of files) {
      const seen = stamp(w.file), before = w.seen
      w.seen = seen
      if (seen !== before) w.call(w.file, !before ? CREATED : seen ? CHANGED : DELETED)
    }
    for (const file of sourceFolders(root).flatMap(newFiles)) {
      for (const w of folders) if (file.startsWith(w.dir)) w.call(file)
    }
  }

  /** @template W @param {Set<W>} set @param {W} w */
  function keep(set, w) {
    set.add(w)
    return { close: () => { set.delete(w) } }
  }

  sourceFolders(root).forEach(newFiles)
  return {
    poll,
    /** @param {string} file @param {FileChanged} call */
    watchFile: (file, call) => keep(files, { file, seen: stamp(file), call }),
    /** @param {string} dir @param {(file: string) => void} call */
    watchDirectory: (dir, call) => keep(folders, { dir, call }),
  }
}

module.exports = { createWatch, stamp }
