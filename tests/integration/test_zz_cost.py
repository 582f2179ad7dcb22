import json
from sqlalchemy import event
from functions.adapters.database import engine, transaction
from functions.domain import ordering
from functions.deliver import admission
from tests.integration.conftest import *
from tests.integration.levers_scene import *
def test_x(service):
    busy, w = service.webhook(), service.webhook(ordering="strict")
    held(service, busy, 20000); held(service, w, 12000)
    service.sql.run("ANALYZE")
    def explain(connection, _c, statement, parameters, *_):
        if "webhook_deliveries" not in statement: return
        cursor = connection.connection.cursor()
        best = None
        for _ in range(3):
            cursor.execute("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) " + statement, parameters)
            (found,) = cursor.fetchone()
            plan = (json.loads(found) if isinstance(found, str) else found)[0]
            t = plan["Execution Time"]; best = min(t, best or t)
        print("@@", round(best, 2), "ms", plan["Plan"]["Shared Hit Blocks"], "pages", statement[:90].replace("\n", " "))
    event.listen(engine(), "before_cursor_execute", explain)
    for path in (f"/v1/deliveries?webhook_id={w['id']}&limit=250", f"/v1/deliveries?webhook_id={busy['id']}&limit=250", f"/v1/webhooks/{w['id']}"):
        print("@@", path); a = service.client("GET", path)
    print("@@", a.body["line"]["waiting"])
    print("@@ wake")
    with transaction() as c: ordering.stranded(c, 10)
    with transaction() as c: ordering.wake(c, [w["id"]])
    with transaction() as c: admission._fronts(c, [w["id"]])
    event.remove(engine(), "before_cursor_execute", explain)
