// What a customer's program does, against the types that are generated from docs/openapi.json. It is compiled, not run.
import createClient from "openapi-fetch";
import type { components, paths } from "./api.d.ts";

type Webhook = components["schemas"]["Webhook"];
type Problem = components["schemas"]["Problem"];

const hookline = createClient<paths>({
  baseUrl: "https://hooks.example.com",
  headers: { authorization: "Bearer hl_prefix_secret" },
});

export async function createWebhook(url: string): Promise<Webhook> {
  const { data, error, response } = await hookline.POST("/v1/webhooks", {
    params: { header: { "Idempotency-Key": "webhook-1" } },
    body: { name: "orders", url, event_types: ["invoice.*"] },
  });
  if (data === undefined) throw new Error(`${response.status} ${said(error)}`);
  return data;
}

export async function send(amount: number): Promise<string> {
  const { data } = await hookline.POST("/v1/events", {
    body: { type: "invoice.paid", id: "inv-1042-paid", data: { amount } },
  });
  return data?.id ?? "not accepted";
}

export async function* failed(webhook: Webhook): AsyncGenerator<string> {
  let cursor: string | null = null;
  do {
    const query: { webhook_id: string; status: "failed"; limit: number; cursor?: string } = {
      webhook_id: webhook.id,
      status: "failed",
      limit: 250,
    };
    if (cursor !== null) query.cursor = cursor;
    const { data, error } = await hookline.GET("/v1/deliveries", { params: { query } });
    if (error) throw new Error(said(error));
    for (const delivery of data.data) {
      const at: string | null = delivery.delivered_at;
      yield `${delivery.id} ${delivery.attempts}/${delivery.max_attempts} ${at ?? ""} ${delivery.last_error?.code ?? ""}`;
    }
    cursor = data.next_cursor;
  } while (cursor !== null);
}

export async function rename(webhook: Webhook, name: string): Promise<number> {
  const { response } = await hookline.PATCH("/v1/webhooks/{webhook_id}", {
    params: { path: { webhook_id: webhook.id }, header: { "If-Match": '"1"' } },
    body: { name, description: null },
  });
  return response.status;
}

function said(error: Problem | components["schemas"]["Refusal"]): string {
  return "message" in error ? error.message : error.error.details.map((one) => one.path).join(", ");
}

// @ts-expect-error an unknown field is refused by the types, as the service refuses it
export const misspelt: components["schemas"]["WebhookIn"] = { name: "orders", url: "https://example.com", tiemout: 5 };

// @ts-expect-error a state that there is not
export const state: Webhook["status"] = "asleep";
