// Drives the simulator with Stripe's own client, and checks what it answers and sends.
// PORT names the simulator.

import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import Stripe from 'stripe';

const SECRETS = ['whsec_conformance_old', 'whsec_conformance_new'];
const port = Number(process.env.PORT);
const base = `http://127.0.0.1:${port}`;
const stripe = new Stripe('sk_test_conformance', { host: '127.0.0.1', port, protocol: 'http', maxNetworkRetries: 0 });

// Every delivery is checked with each secret, over the raw bytes.
const delivered = [];
const waiters = [];
let refusals = 0;
const server = createServer(async (request, response) => {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const body = Buffer.concat(chunks);
  try {
    const [event] = SECRETS.map((secret) =>
      stripe.webhooks.constructEvent(body, request.headers['stripe-signature'], secret));
    assert.throws(() => stripe.webhooks.constructEvent(
      Buffer.concat([body, Buffer.from(' ')]), request.headers['stripe-signature'], SECRETS[0]));
    if (refusals > 0) {
      refusals -= 1;
      response.writeHead(503).end();
      return;
    }
    delivered.push(event);
    response.writeHead(200).end();
  } catch (error) {
    console.error(error);
    process.exitCode = 1;
    response.writeHead(400).end();
  }
  for (const look of waiters) look();
});
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));

function webhook(type, id) {
  return new Promise((resolve) => {
    const look = () => {
      const found = delivered.find((event) => event.type === type && event.data.object.id === id);
      if (found) resolve(found);
    };
    waiters.push(look);
    look();
  });
}

async function sim(method, path, body) {
  const response = await fetch(`${base}/_sim${path}`, {
    method, headers: { 'content-type': 'application/json' }, body: body && JSON.stringify(body),
  });
  assert.ok(response.ok, `${method} ${path}: ${response.status}`);
  return response.headers.get('content-type')?.includes('json') ? response.json() : undefined;
}

function press(url, fields) {
  return fetch(url, { method: 'POST', body: new URLSearchParams(fields), redirect: 'manual' });
}

async function refused(promise, kind, expected) {
  const error = await promise.then(() => assert.fail(`expected ${kind.name}`), (error) => error);
  assert.ok(error instanceof kind, `${error.constructor.name}: ${error.message}`);
  for (const [key, value] of Object.entries(expected)) assert.equal(error[key], value, `${key}: ${error.message}`);
  return error;
}

const manual = (more = {}) => stripe.paymentIntents.create({
  amount: 22000, currency: 'usd', capture_method: 'manual', automatic_payment_methods: { enabled: true }, ...more,
});
const paid = (more) => manual({ confirm: true, payment_method: 'pm_card_visa', return_url: 'http://127.0.0.1/back', ...more });

const checks = {
  async 'a hold is captured in part and refunded'() {
    const customer = await stripe.customers.create({ email: 'casey@example.com', metadata: { user: 'u1' } });
    assert.equal((await stripe.customers.retrieve(customer.id)).email, 'casey@example.com');
    const created = await manual({ customer: customer.id, metadata: { session: 's1' }, transfer_group: 'g1' });
    assert.equal(created.status, 'requires_payment_method');
    assert.match(created.client_secret, new RegExp(`^${created.id}_secret_`));
    const held = await stripe.paymentIntents.confirm(created.id, { payment_method: 'pm_card_visa' });
    assert.deepEqual([held.status, held.amount_capturable, held.amount_received], ['requires_capture', 22000, 0]);
    const { latest_charge: charge } = await stripe.paymentIntents.retrieve(held.id, { expand: ['latest_charge', 'customer'] });
    assert.equal(charge.object, 'charge');
    assert.equal(charge.captured, false);
    const hold = charge.payment_method_details.card.capture_before - charge.created;
    assert.equal(hold, 7 * 86400);

    await refused(stripe.paymentIntents.capture(held.id, { amount_to_capture: 22001 }),
      Stripe.errors.StripeInvalidRequestError, { code: 'amount_too_large', param: 'amount_to_capture', statusCode: 400 });
    const captured = await stripe.paymentIntents.capture(held.id, { amount_to_capture: 15000 });
    assert.deepEqual([captured.status, captured.amount_capturable, captured.amount_received], ['succeeded', 0, 15000]);
    const again = await refused(stripe.paymentIntents.capture(held.id),
      Stripe.errors.StripeInvalidRequestError, { code: 'payment_intent_unexpected_state', statusCode: 400 });
    assert.equal(again.payment_intent.id, held.id);

    const refund = await stripe.refunds.create({ payment_intent: held.id, amount: 5000, reason: 'requested_by_customer' });
    assert.deepEqual([refund.status, refund.amount, refund.charge], ['succeeded', 5000, charge.id]);
    await refused(stripe.refunds.create({ payment_intent: held.id, amount: 10001 }),
      Stripe.errors.StripeInvalidRequestError, { param: 'amount', statusCode: 400 });
    await stripe.refunds.create({ charge: charge.id });
    await refused(stripe.refunds.create({ payment_intent: held.id }),
      Stripe.errors.StripeInvalidRequestError, { code: 'charge_already_refunded' });
    assert.equal((await stripe.refunds.list({ payment_intent: held.id })).data.length, 2);
    assert.equal((await stripe.refunds.retrieve(refund.id, { expand: ['balance_transaction'] })).balance_transaction.amount, -5000);

    const snapshot = await webhook('payment_intent.amount_capturable_updated', held.id);
    assert.deepEqual([snapshot.data.object.status, snapshot.data.object.amount_capturable], ['requires_capture', 22000]);
    assert.equal((await webhook('payment_intent.succeeded', held.id)).data.object.amount_received, 15000);
    await webhook('payment_intent.created', held.id);
    await webhook('charge.succeeded', charge.id);
    await webhook('charge.captured', charge.id);
    await webhook('charge.refunded', charge.id);
    await webhook('refund.created', refund.id);
    const state = await sim('GET', '/state');
    const money = state.intents.find((intent) => intent.id === held.id);
    assert.deepEqual([money.held, money.captured, money.captures, money.refunded], [0, 15000, 1, 15000]);
  },

  async 'an intent is cancelled and lets go of its money'() {
    const held = await paid();
    const canceled = await stripe.paymentIntents.cancel(held.id, { cancellation_reason: 'requested_by_customer' });
    assert.deepEqual([canceled.status, canceled.amount_capturable, canceled.cancellation_reason], ['canceled', 0, 'requested_by_customer']);
    await refused(stripe.paymentIntents.cancel(held.id),
      Stripe.errors.StripeInvalidRequestError, { code: 'payment_intent_unexpected_state' });
    await refused(stripe.refunds.create({ payment_intent: held.id }), Stripe.errors.StripeInvalidRequestError, { statusCode: 400 });
    await webhook('payment_intent.canceled', held.id);
    const told = await webhook('charge.refunded', held.latest_charge);
    assert.deepEqual([told.data.object.captured, told.data.object.refunded], [false, true]);
  },

  async 'declines are typed errors, and the intent can be tried again'() {
    const created = await manual();
    const error = await refused(stripe.paymentIntents.confirm(created.id, { payment_method: 'pm_card_chargeDeclined' }),
      Stripe.errors.StripeCardError, { code: 'card_declined', decline_code: 'generic_decline', statusCode: 402 });
    assert.equal(error.payment_intent.status, 'requires_payment_method');
    assert.equal(error.payment_intent.last_payment_error.code, 'card_declined');
    assert.equal((await stripe.charges.retrieve(error.charge)).status, 'failed');
    await webhook('payment_intent.payment_failed', created.id);
    const held = await stripe.paymentIntents.confirm(created.id, { payment_method: 'pm_card_mastercard' });
    assert.equal(held.status, 'requires_capture');
    assert.equal(held.last_payment_error, null);
  },

  async 'the bank asks who the customer is'() {
    const asked = await paid({ payment_method: 'pm_card_threeDSecure2Required' });
    assert.equal(asked.status, 'requires_action');
    const { url } = asked.next_action.redirect_to_url;
    const back = await press(url, { action: 'authenticate' });
    assert.deepEqual([back.status, back.headers.get('location')], [303, 'http://127.0.0.1/back']);
    assert.equal((await stripe.paymentIntents.retrieve(asked.id)).status, 'requires_capture');
    const failed = await paid({ payment_method: 'pm_card_authenticationRequired' });
    await press(failed.next_action.redirect_to_url.url, { action: 'refuse' });
    const after = await stripe.paymentIntents.retrieve(failed.id);
    assert.deepEqual([after.status, after.last_payment_error.code], ['requires_payment_method', 'payment_intent_authentication_failure']);
  },

  async 'a card is saved and charged later, without its owner'() {
    const customer = await stripe.customers.create();
    const setup = await stripe.setupIntents.create({ customer: customer.id, automatic_payment_methods: { enabled: true } });
    const asked = await stripe.setupIntents.confirm(setup.id, { payment_method: 'pm_card_authenticationRequiredOnSetup' });
    assert.equal(asked.status, 'requires_action');
    await press(asked.next_action.redirect_to_url.url, { action: 'authenticate' });
    const saved = await stripe.setupIntents.retrieve(setup.id, { expand: ['payment_method'] });
    assert.deepEqual([saved.status, saved.payment_method.customer], ['succeeded', customer.id]);
    await webhook('setup_intent.succeeded', setup.id);
    const held = await paid({ customer: customer.id, payment_method: saved.payment_method.id, off_session: true, return_url: undefined });
    const charge = await stripe.charges.retrieve(held.latest_charge);
    assert.equal(charge.payment_method_details.card.capture_before - charge.created, (4 * 24 + 18) * 3600);
    await refused(paid({ customer: customer.id, payment_method: 'pm_card_authenticationRequired', off_session: true, return_url: undefined }),
      Stripe.errors.StripeCardError, { code: 'authentication_required', statusCode: 402 });
    assert.equal((await stripe.paymentMethods.list({ customer: customer.id, type: 'card' })).data[0].card.last4, '3155');
  },

  async 'Checkout is paid, declined, cancelled and expires'() {
    const open = () => stripe.checkout.sessions.create({
      mode: 'payment', submit_type: 'donate', metadata: { payment: 'p1' },
      success_url: 'http://127.0.0.1/thanks?session={CHECKOUT_SESSION_ID}', cancel_url: 'http://127.0.0.1/cancel',
      line_items: [{ quantity: 2, price_data: { currency: 'usd', unit_amount: 750, product_data: { name: 'Bees & <hives>' } } }],
      payment_intent_data: { metadata: { payment: 'p1' } },
    });
    const session = await open();
    assert.deepEqual([session.status, session.payment_status, session.amount_total, session.payment_intent], ['open', 'unpaid', 1500, null]);
    const page = await (await fetch(session.url)).text();
    assert.match(page, /Pay 15\.00 usd/);
    assert.match(page, /Bees &amp; &lt;hives&gt;/);
    assert.equal((await press(session.url, { action: 'decline' })).status, 402);
    assert.equal((await press(session.url, { action: 'cancel' })).headers.get('location'), 'http://127.0.0.1/cancel');
    const thanks = await press(session.url, { action: 'pay', card: '4242 4242 4242 4242' });
    assert.equal(thanks.headers.get('location'), `http://127.0.0.1/thanks?session=${session.id}`);
    const done = await stripe.checkout.sessions.retrieve(session.id, { expand: ['payment_intent.latest_charge'] });
    assert.deepEqual([done.status, done.payment_status, done.payment_intent.latest_charge.amount_captured], ['complete', 'paid', 1500]);
    assert.equal(done.payment_intent.metadata.payment, 'p1');
    const told = await webhook('checkout.session.completed', session.id);
    assert.equal(told.data.object.payment_intent, done.payment_intent.id);
    assert.equal((await stripe.checkout.sessions.listLineItems(session.id)).data[0].description, 'Bees & <hives>');
    assert.equal((await stripe.checkout.sessions.list({ payment_intent: done.payment_intent.id })).data[0].id, session.id);

    const asked = await open();
    await press(asked.url, { action: 'pay', card: '4000000000003220' });
    assert.equal((await press(asked.url, { action: 'authenticate' })).status, 303);
    await webhook('checkout.session.completed', asked.id);

    // The page that the bank's question leads to does as well, and completes the session once.
    const elsewhere = await open();
    await press(elsewhere.url, { action: 'pay', card: '4000000000003220' });
    const { payment_intent: asking } = await stripe.checkout.sessions.retrieve(elsewhere.id, { expand: ['payment_intent'] });
    await press(`${base}/pay/${asking.client_secret}`, { action: 'authenticate' });
    await webhook('checkout.session.completed', elsewhere.id);
    const completions = await stripe.events.list({ type: 'checkout.session.completed', limit: 100 });
    assert.equal(completions.data.filter((event) => event.data.object.id === elsewhere.id).length, 1);

    const other = await open();
    assert.equal((await stripe.checkout.sessions.expire(other.id)).status, 'expired');
    await webhook('checkout.session.expired', other.id);
    await refused(stripe.checkout.sessions.expire(other.id), Stripe.errors.StripeInvalidRequestError, { statusCode: 400 });
  },

  async 'lists go page by page'() {
    const customer = await stripe.customers.create();
    const made = [];
    for (let number = 0; number < 7; number++) made.push((await manual({ customer: customer.id })).id);
    const seen = [];
    for await (const intent of stripe.paymentIntents.list({ customer: customer.id, limit: 3 })) seen.push(intent.id);
    assert.deepEqual(seen, made.toReversed());
    const before = await stripe.paymentIntents.list({ customer: customer.id, ending_before: made[3], limit: 2 });
    assert.deepEqual(before.data.map((intent) => intent.id), [made[5], made[4]]);
    assert.equal(before.has_more, true);
    const future = Math.floor(Date.now() / 1000) + 1000;
    assert.equal((await stripe.paymentIntents.list({ created: { gte: future } })).data.length, 0);
    const events = await stripe.events.list({ types: ['customer.created'], limit: 1 });
    assert.deepEqual([events.data[0].type, events.data[0].data.object.id], ['customer.created', customer.id]);
    assert.equal((await stripe.events.retrieve(events.data[0].id)).id, events.data[0].id);
  },

  async 'idempotency keys keep the first answer, even a 500'() {
    const params = { amount: 500, currency: 'eur' };
    const first = await stripe.paymentIntents.create(params, { idempotencyKey: 'key-1' });
    const second = await stripe.paymentIntents.create(params, { idempotencyKey: 'key-1' });
    assert.equal(second.id, first.id);
    assert.equal(second.lastResponse.headers['idempotent-replayed'], 'true');
    await refused(stripe.paymentIntents.create({ ...params, amount: 501 }, { idempotencyKey: 'key-1' }),
      Stripe.errors.StripeIdempotencyError, { statusCode: 400 });
    await refused(stripe.customers.create({}, { idempotencyKey: 'key-1' }), Stripe.errors.StripeIdempotencyError, { statusCode: 400 });

    await sim('POST', '/faults', { method: 'POST', path: '/v1/customers', effect: 'error_after' });
    for (let attempt = 0; attempt < 2; attempt++) {
      await refused(stripe.customers.create({ name: 'Once' }, { idempotencyKey: 'key-2' }), Stripe.errors.StripeAPIError, { statusCode: 500 });
    }
    const { customers } = await sim('GET', '/state');
    assert.equal(customers.filter((customer) => customer.name === 'Once').length, 1);

    // What is refused for its parameters frees the key.
    await refused(stripe.paymentIntents.create({ amount: 1, currency: 'usd' }, { idempotencyKey: 'key-3' }),
      Stripe.errors.StripeInvalidRequestError, { code: 'amount_too_small', param: 'amount' });
    await stripe.paymentIntents.create({ amount: 100, currency: 'usd' }, { idempotencyKey: 'key-3' });

    await sim('POST', '/faults', { path: '/v1/refunds', effect: 'delay', delay_ms: 500 });
    const held = await paid({ capture_method: 'automatic' });
    const slow = stripe.refunds.create({ payment_intent: held.id }, { idempotencyKey: 'key-4' });
    await until(async () => (await sim('GET', '/state')).requests.some((seen) => seen.idempotency_key === 'key-4'));
    await refused(stripe.refunds.create({ payment_intent: held.id }, { idempotencyKey: 'key-4' }),
      Stripe.errors.StripeAPIError, { statusCode: 409, code: 'idempotency_key_in_use', rawType: 'idempotency_error' });
    const { id } = await slow;
    assert.equal((await stripe.refunds.create({ payment_intent: held.id }, { idempotencyKey: 'key-4' })).id, id);
  },

  async 'errors are of their types'() {
    await refused(stripe.paymentIntents.retrieve('pi_missing'),
      Stripe.errors.StripeInvalidRequestError, { statusCode: 404, code: 'resource_missing', param: 'intent' });
    await refused(manual({ customer: 'cus_missing' }),
      Stripe.errors.StripeInvalidRequestError, { statusCode: 400, code: 'resource_missing', param: 'customer' });
    await refused(manual({ colour: 'red' }), Stripe.errors.StripeInvalidRequestError, { code: 'parameter_unknown', param: 'colour' });
    await refused(manual({ currency: 'xxx' }), Stripe.errors.StripeInvalidRequestError, { param: 'currency' });
    await refused(manual({ amount: 'many' }), Stripe.errors.StripeInvalidRequestError, { code: 'parameter_invalid_integer' });
    await refused(stripe.paymentIntents.retrieve((await manual()).id, { expand: ['nothing'] }),
      Stripe.errors.StripeInvalidRequestError, { statusCode: 400 });
    const stranger = new Stripe('wrong', { host: '127.0.0.1', port, protocol: 'http', maxNetworkRetries: 0 });
    await refused(stranger.customers.create(), Stripe.errors.StripeAuthenticationError, { statusCode: 401 });
    await sim('POST', '/faults', { effect: 'rate_limit' });
    await refused(stripe.events.list(), Stripe.errors.StripeRateLimitError, { statusCode: 429 });
    // After a reset (ECONNRESET, not a mere end) the client tries once more by itself.
    for (const [effect, times] of [['reset_before', 2], ['reset_after', 2], ['truncate', 1]]) {
      await sim('POST', '/faults', { path: '/v1/customers', effect, times });
      const error = await refused(stripe.customers.create({ name: effect }, { idempotencyKey: effect }),
        Stripe.errors.StripeConnectionError, {});
      if (effect !== 'truncate') assert.equal(error.detail.code, 'ECONNRESET');
    }
    await sim('DELETE', '/faults');
    const { customers } = await sim('GET', '/state');
    assert.deepEqual(customers.map(({ name }) => name).filter((name) => /^reset|^truncate/.test(name)), ['reset_after', 'truncate']);
  },

  async 'holds are found by a search, page by page'() {
    const held = [(await paid()).id, (await paid()).id];
    const query = "status:'requires_capture'";
    const found = [];
    for await (const intent of stripe.paymentIntents.search({ query, limit: 1 })) found.push(intent.id);
    assert.deepEqual(found.filter((id) => held.includes(id)), held.reverse());
    await stripe.paymentIntents.cancel(held[0]);
    const left = await stripe.paymentIntents.search({ query, limit: 100 });
    assert.deepEqual([left.object, left.data.some(({ id }) => id === held[0])], ['search_result', false]);
    await refused(stripe.paymentIntents.search({ query: 'amount>1' }), Stripe.errors.StripeInvalidRequestError, { param: 'query' });
  },

  async 'a customer who is deleted is gone, with their cards'() {
    const [first, customer, last] = [await stripe.customers.create(), await stripe.customers.create(), await stripe.customers.create()];
    const card = await stripe.paymentMethods.attach('pm_card_visa', { customer: customer.id });
    assert.deepEqual(await stripe.customers.del(customer.id).then(({ id, deleted }) => [id, deleted]), [customer.id, true]);
    await refused(stripe.customers.retrieve(customer.id), Stripe.errors.StripeInvalidRequestError, { statusCode: 404, code: 'resource_missing' });
    await refused(stripe.customers.del(customer.id), Stripe.errors.StripeInvalidRequestError, { statusCode: 404 });
    await refused(stripe.setupIntents.create({ customer: customer.id }), Stripe.errors.StripeInvalidRequestError,
      { statusCode: 400, code: 'resource_missing', param: 'customer' });
    assert.equal((await stripe.paymentMethods.retrieve(card.id)).customer, null);
    for (const other of [first, last]) assert.equal((await stripe.customers.retrieve(other.id)).id, other.id);
  },

  async 'connected accounts get their part'() {
    const account = await stripe.accounts.create({ type: 'express', country: 'US', capabilities: { transfers: { requested: true } } });
    assert.equal(account.charges_enabled, false);
    await refused(stripe.transfers.create({ amount: 100, currency: 'usd', destination: account.id }),
      Stripe.errors.StripeInvalidRequestError, { code: 'insufficient_capabilities_for_transfer' });
    const link = await stripe.accountLinks.create({
      account: account.id, type: 'account_onboarding', return_url: 'http://127.0.0.1/back?x=1', refresh_url: 'http://127.0.0.1/again',
    });
    assert.equal((await press(link.url, { action: 'pay' })).headers.get('location'), 'http://127.0.0.1/back?x=1');
    assert.equal((await stripe.accounts.retrieve(account.id)).payouts_enabled, true);
    await webhook('account.updated', account.id);
    const held = await paid({ transfer_data: { destination: account.id }, application_fee_amount: 2000 });
    await stripe.paymentIntents.capture(held.id);
    const charge = await stripe.charges.retrieve(held.latest_charge, { expand: ['transfer', 'balance_transaction'] });
    assert.deepEqual([charge.transfer.amount, charge.transfer.destination], [20000, account.id]);
    assert.equal(charge.balance_transaction.net, 22000 - 638 - 30);
    const transfer = await stripe.transfers.create({ amount: 1000, currency: 'usd', destination: account.id, transfer_group: 'g2' });
    await webhook('transfer.created', transfer.id);
    const reversal = await stripe.transfers.createReversal(transfer.id, { amount: 400, metadata: { call: 'c1' } });
    assert.equal(reversal.metadata.call, 'c1');
    assert.equal((await stripe.transfers.retrieve(transfer.id)).amount_reversed, 400);
    await refused(stripe.transfers.createReversal(transfer.id, { amount: 601 }), Stripe.errors.StripeInvalidRequestError, { param: 'amount' });
  },

  async 'a payment is disputed, and won or lost by the evidence'() {
    for (const [evidence, status, last] of [
      ['winning_evidence', 'won', 'charge.dispute.funds_reinstated'], ['losing_evidence', 'lost', 'charge.dispute.closed'],
    ]) {
      const intent = await paid({ payment_method: 'pm_card_createDispute' });
      assert.equal((await stripe.disputes.list({ payment_intent: intent.id })).data.length, 0);
      await stripe.paymentIntents.capture(intent.id);
      const { data: [dispute] } = await stripe.disputes.list({ payment_intent: intent.id });
      assert.equal(dispute.status, 'needs_response');
      assert.equal(dispute.amount, 22000);
      await webhook('charge.dispute.created', dispute.id);
      assert.equal((await stripe.charges.retrieve(dispute.charge)).disputed, true);
      const decided = await stripe.disputes.update(dispute.id, { evidence: { uncategorized_text: evidence }, submit: true });
      assert.equal(decided.status, status);
      await webhook(last, dispute.id);
      await refused(stripe.disputes.close(dispute.id), Stripe.errors.StripeInvalidRequestError, {});
    }
  },

  async 'webhooks come late, again, twice and out of order'() {
    await sim('PUT', '/webhooks', { paused: true });
    const { id } = await stripe.customers.create();
    await sim('PUT', '/webhooks', { duplicate: 2, shuffle_ms: 100, seed: 3 });
    const twice = await stripe.customers.create();
    await webhook('customer.created', id);
    await until(() => delivered.filter((event) => event.data.object.id === twice.id).length === 3);
    await sim('PUT', '/webhooks', { drop: 1 });
    const lost = await stripe.customers.create();
    await webhook('customer.updated', (await stripe.customers.update(lost.id, { name: 'Found' })).id);
    assert.ok(!delivered.some((event) => event.type === 'customer.created' && event.data.object.id === lost.id));
    const [event] = (await stripe.events.list({ type: 'customer.created', limit: 1 })).data;
    await sim('POST', `/events/${event.id}/resend`);
    await webhook('customer.created', lost.id);

    refusals = 2;
    const stubborn = await stripe.customers.create();
    const told = await webhook('customer.created', stubborn.id);
    const attempts = async () => (await sim('GET', '/state')).webhooks.tried.filter((one) => one.event === told.id);
    await until(async () => (await attempts()).length === 3);
    assert.deepEqual((await attempts()).map(({ attempt, status }) => [attempt, status]), [[1, 503], [2, 503], [3, 200]]);
  },

  async 'time passes: holds, sessions and keys run out, refunds settle'() {
    const held = await paid();
    const params = { amount: 500, currency: 'usd' };
    const kept = await stripe.paymentIntents.create(params, { idempotencyKey: 'key-day' });
    const failing = await paid({ capture_method: 'automatic', payment_method: 'pm_card_refundFail' });
    const refund = await stripe.refunds.create({ payment_intent: failing.id });
    assert.equal(refund.status, 'succeeded');
    await sim('POST', '/clock', { advance_secs: 7 * 86400 });
    await refused(stripe.paymentIntents.capture(held.id),
      Stripe.errors.StripeInvalidRequestError, { code: 'payment_intent_unexpected_state' });
    const gone = await stripe.paymentIntents.retrieve(held.id);
    assert.deepEqual([gone.status, gone.cancellation_reason], ['canceled', 'automatic']);
    await webhook('charge.expired', held.latest_charge);
    await webhook('payment_intent.canceled', held.id);
    assert.equal((await stripe.refunds.retrieve(refund.id)).status, 'failed');
    await webhook('refund.failed', refund.id);
    assert.notEqual((await stripe.paymentIntents.create(params, { idempotencyKey: 'key-day' })).id, kept.id);
  },
};

async function until(condition) {
  const end = Date.now() + 10_000;
  while (!(await condition())) {
    assert.ok(Date.now() < end, `never: ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

await sim('POST', '/webhooks/endpoints', { url: `http://127.0.0.1:${server.address().port}/hook`, secrets: SECRETS });
for (const [name, check] of Object.entries(checks)) {
  const deadline = new Promise((_, reject) => setTimeout(() => reject(new Error('took 20 s')), 20_000).unref());
  try {
    await Promise.race([check(), deadline]);
    console.log(`ok: ${name}`);
  } catch (error) {
    console.log(`FAILED: ${name}`);
    console.error(error);
    process.exitCode = 1;
  }
}
server.close();
server.closeAllConnections();
process.exit();
