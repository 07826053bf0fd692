// Pages through a list with Linear's own SDK: node page.mjs API_URL API_KEY LIST PAGE_SIZE; an id a line.
import { LinearClient } from "@linear/sdk";

const [apiUrl, apiKey, list, first] = process.argv.slice(2);
const client = new LinearClient({ apiUrl, apiKey });
let page = await client[list]({ first: Number(first), includeArchived: true });
for (;;) {
  for (const node of page.nodes) console.log(node.id);
  if (!page.pageInfo.hasNextPage) break;
  page = await client[list]({ first: Number(first), includeArchived: true, after: page.pageInfo.endCursor });
}
