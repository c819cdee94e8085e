// Speaks to a gateway with the official OpenAI client and the AI SDK, as apps do, and prints one line of JSON.
//
//   npm ci && node smoke.mjs http://127.0.0.1:8080/v1 MODEL [API_KEY]
//
// Exit status: 0 if every check held.
import OpenAI, { NotFoundError, BadRequestError } from 'openai';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { generateText, streamText } from 'ai';

const [baseURL, model, apiKey = 'none'] = process.argv.slice(2);
if (!baseURL || !model) {
  console.error('usage: node smoke.mjs BASE_URL MODEL [API_KEY]');
  process.exit(2);
}

const messages = [{ role: 'user', content: 'Say hello.' }];
const openai = new OpenAI({ baseURL, apiKey, maxRetries: 0 });
const provider = createOpenAICompatible({ name: 't4t', baseURL, apiKey, includeUsage: true });
const checks = {};

/** Runs one check; what it returns is its result, and an error is told, not thrown. */
async function check(name, run) {
  const began = performance.now();
  try {
    const seen = await run();
    checks[name] = { ok: true, ms: Math.round(performance.now() - began), ...seen };
  } catch (error) {
    checks[name] = { ok: false, error: String(error?.message ?? error).slice(0, 300) };
  }
}

function must(holds, what) {
  if (!holds) throw new Error(`expected ${what}`);
}

await check('openai models', async () => {
  const ids = [];
  for await (const one of openai.models.list()) ids.push(one.id);
  must(ids.includes(model), `${model} among ${ids}`);
  must((await openai.models.retrieve(model)).id === model, 'the model by its name');
  return { models: ids.length };
});

await check('openai whole answer', async () => {
  const { data, response } = await openai.chat.completions.create({ model, messages, max_tokens: 32 }).withResponse();
  must(typeof data.choices[0].message.content === 'string', 'text');
  must(data.choices[0].finish_reason, 'a finish reason');
  must(data.usage.total_tokens > 0, 'usage');
  must(response.headers.get('x-request-id'), 'a request id');
  return { attempts: response.headers.get('x-t4t-attempts') };
});

await check('openai stream', async () => {
  const stream = await openai.chat.completions.create({
    model, messages, max_tokens: 32, stream: true, stream_options: { include_usage: true },
  });
  const seen = { content: '', reasoning: 0, chunks: 0, finish: null, usage: null };
  for await (const chunk of stream) {
    seen.chunks += 1;
    const choice = chunk.choices[0];
    seen.content += choice?.delta.content ?? '';
    seen.reasoning += choice?.delta.reasoning_content?.length ?? 0;
    seen.finish = choice?.finish_reason ?? seen.finish;
    seen.usage = chunk.usage ?? seen.usage;
  }
  must(seen.finish, 'a finish reason');
  must(seen.usage?.total_tokens > 0, 'usage');
  return { chunks: seen.chunks, characters: seen.content.length, reasoning: seen.reasoning };
});

await check('openai stream helper', async () => {
  const completion = await openai.chat.completions.stream({ model, messages, max_tokens: 32 }).finalChatCompletion();
  must(completion.choices[0].finish_reason, 'a finish reason');
});

await check('openai errors', async () => {
  const fails = (body) => openai.chat.completions.create(body).then(() => null, (error) => error);
  const unknown = await fails({ model: `${model}-that-nobody-offers`, messages });
  must(unknown instanceof NotFoundError && unknown.code === 'model_not_found', `404, got ${unknown}`);
  const streamed = await fails({ model: `${model}-that-nobody-offers`, messages, stream: true });
  must(streamed instanceof NotFoundError, `404 for a stream, got ${streamed}`);
  const bad = await fails({ model, messages: [] });
  must(bad instanceof BadRequestError && bad.param === 'messages' && bad.requestID, `400, got ${bad}`);
  return { message: unknown.message };
});

await check('ai-sdk whole answer', async () => {
  const answer = await generateText({ model: provider(model), messages, maxOutputTokens: 32, maxRetries: 0 });
  must(answer.finishReason && answer.finishReason !== 'error', `a finish reason, got ${answer.finishReason}`);
  must(answer.usage.outputTokens > 0, 'usage');
});

await check('ai-sdk stream', async () => {
  let failed = null;
  const onError = ({ error }) => { failed = error; };
  const answer = streamText({ model: provider(model), messages, maxOutputTokens: 32, maxRetries: 0, onError });
  let pieces = 0;
  for await (const _ of answer.textStream) pieces += 1;
  if (failed) throw failed;
  const finish = await answer.finishReason;
  must(finish && finish !== 'error', `a finish reason, got ${finish}`);
  must((await answer.usage).outputTokens > 0, 'usage');
  return { pieces };
});

const ok = Object.values(checks).every((one) => one.ok);
console.log(JSON.stringify({ ok, baseURL, model, checks }));
process.exit(ok ? 0 : 1);
