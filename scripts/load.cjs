// Lets Node run the project's TypeScript: `node -r ./scripts/load.cjs file.ts`. Each file is stripped
// of its types once; the result is kept in `.cache/js`, so that a tool starts without the compiler.
const { createHash } = require('crypto')
const fs = require('fs')
const { enableCompileCache } = require('module')
const path = require('path')

const cache = path.join(__dirname, '..', '.cache', 'js')
const { version } = installed()

enableCompileCache?.(path.join(cache, 'v8'))
require.extensions['.ts'] = (module, file) => {
  process.setSourceMapsEnabled(true)
  module._compile(compiled(file), file)
}

// Node would search the compiler's own 9 MB for a source map: 0.1 s of each start
const loadJs = require.extensions['.js']
require.extensions['.js'] = (module, file) => {
  process.setSourceMapsEnabled(false)
  try { loadJs(module, file) } finally { process.setSourceMapsEnabled(true) }
}

function installed() {
  try { return require('typescript/package.json') } catch {
    console.error('The packages are not installed yet: run "npm run setup" first.')
    process.exit(1)
  }
}

function compiled(file) {
  const source = fs.readFileSync(file, 'utf8')
  const key = createHash('sha256').update(`${version}\n${file}\n${source}`).digest('hex')
  const kept = path.join(cache, `${key}.js`)
  if (fs.existsSync(kept)) return fs.readFileSync(kept, 'utf8')
  const ts = require('typescript')
  const { outputText } = ts.transpileModule(source, { fileName: file, compilerOptions: {
    target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.CommonJS, esModuleInterop: true,
    inlineSourceMap: true, inlineSources: true } })
  fs.mkdirSync(cache, { recursive: true })
  fs.writeFileSync(`${kept}.${process.pid}.part`, outputText)
  fs.renameSync(`${kept}.${process.pid}.part`, kept)
  return outputText
}
