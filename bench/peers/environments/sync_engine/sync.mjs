// A run of @supabase/stripe-sync-engine: `backfill` reads customers and invoices, `listen PORT_FILE SECRET_FILE` takes webhooks.
//
// Set up as its README says: migrations, a pool of ten connections, syncBackfill one object after the other,
// processWebhook for what changes. It has no setting for Stripe's address, so the client that it made is replaced by one
// of the same library that points elsewhere.
import { readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { createRequire } from 'node:module'

// The package's runMigrations reads __dirname, which only its CommonJS half has.
const require = createRequire(import.meta.url)
const { StripeSync, runMigrations } = require('@supabase/stripe-sync-engine')
const Stripe = require('stripe')

const [mode, portFile, secretFile] = process.argv.slice(2)
const { PEER_URL, PEER_KEY, PEER_VERSION, PEER_DATABASE, PEER_FILL } = process.env
await runMigrations({ databaseUrl: PEER_DATABASE, schema: 'stripe' })
const sync = new StripeSync({
  poolConfig: { connectionString: PEER_DATABASE, max: 10 },
  stripeSecretKey: PEER_KEY,
  stripeWebhookSecret: mode === 'listen' ? 'set below' : '',
  stripeApiVersion: PEER_VERSION,
  autoExpandLists: PEER_FILL === '1',
})
const { hostname, port } = new URL(PEER_URL)
sync.stripe = new Stripe(PEER_KEY, { apiVersion: PEER_VERSION, host: hostname, port, protocol: 'http', telemetry: false })

if (mode === 'backfill') {
  await sync.syncBackfill({ object: 'customer' })
  await sync.syncBackfill({ object: 'invoice' })
  await sync.close()
} else {
  const server = createServer(async (request, response) => {
    const parts = []
    for await (const part of request) parts.push(part)
    try {
      sync.config.stripeWebhookSecret = readFileSync(secretFile, 'utf8')
      await sync.processWebhook(Buffer.concat(parts), request.headers['stripe-signature'])
      response.writeHead(200).end()
    } catch (error) {
      console.error(String(error))
      response.writeHead(400).end()
    }
  })
  server.listen(0, '127.0.0.1', () => writeFileSync(portFile, String(server.address().port)))
}
