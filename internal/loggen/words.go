package loggen

// The words of messages. The first of a list are chosen most often.
var (
	levels  = []string{" INFO  ", " DEBUG ", " WARN  ", " ERROR "}
	threads = []string{"http-nio-8080-exec-", "pool-2-thread-", "kafka-consumer-", "scheduling-"}
	loggers = []string{
		"c.e.orders.OrderService", "c.e.orders.PaymentClient", "c.e.shipping.LabelPrinter", "c.e.stock.Reservation",
		"o.s.web.servlet.DispatcherServlet", "c.e.cache.TwoLevelCache", "c.z.h.pool.HikariPool", "c.e.mail.Outbox",
	}
	states  = []string{"RECEIVED", "PAID", "PACKED", "SHIPPED", "DELIVERED", "CANCELLED", "RETURNED", "ON_HOLD"}
	queues  = []string{"orders", "payments", "labels", "mail-outbox", "stock_levels", "audit", "thumbnails", "search-index"}
	methods = []string{"GET", "GET", "GET", "POST", "GET", "PUT", "DELETE", "PATCH"}

	statuses = []string{
		"200", "200", "200", "200", "200", "201", "200", "204", "200", "304", "200", "302", "400", "404", "401", "403", "409", "422", "429",
		"500", "502", "503", "504",
	}
	hosts  = []string{"api.example.com", "www.example.com", "admin.example.com", "api.example.co.jp", "static.example.net"}
	routes = []string{
		"/v1/orders", "/v1/users/me", "/v1/products", "/v1/carts/current/items", "/v2/search/suggestions", "/healthz",
		"/v1/payments/intents", "/v1/users", "/v1/shops/shop-reviews", "/v2/recommendations/for-you", "/v1/coupons/validate",
		"/v1/notifications/unread-count", "/v1/addresses", "/v1/wishlists/items", "/internal/metrics", "/v1/sessions/refresh",
		"/v1/uploads/presigned-urls", "/v1/inventories/stock-levels", "/graphql", "/v1/webhooks/stripe",
	}
	networks   = []string{"10.0.", "10.1.", "100.64.", "198.18.", "198.19."} // private, shared or for benchmarks
	userAgents = []string{
		"okhttp/4.12.0",
		"ExampleShop/5.12.3 (jp.co.example.shop; build:2041; iOS 18.5.0) Alamofire/5.9.1",
		"ELB-HealthChecker/2.0",
		"Go-http-client/2.0",
		"ExampleShop/5.12.2 (jp.co.example.shop; build:1466; Android 15) okhttp/4.12.0",
		"Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1",
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/139.0.0.0 Safari/537.36",
		"Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/139.0.0.0 Mobile Safari/537.36",
		"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.4 Safari/605.1.15",
		"python-requests/2.32.4",
		"Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
		"Mozilla/5.0 (X11; Linux x86_64; rv:141.0) Gecko/20100101 Firefox/141.0",
		"curl/8.15.0",
	}
	failures = []string{
		"dial tcp 10.0.3.17:5432: connect: connection refused",
		"context deadline exceeded (Client.Timeout exceeded while awaiting headers)",
		"upstream timeout after 3000 ms",
		"read tcp 10.0.12.8:41822->10.0.3.21:6379: read: connection reset by peer",
		"pq: duplicate key value violates unique constraint orders_pkey",
		"ThrottlingException: Rate exceeded",
		"lookup payments.internal.example.com: no such host",
		"unexpected EOF",
	}

	goFunctions = []string{
		"net/http.HandlerFunc.ServeHTTP", "main.(*server).handleOrder", "example.com/shop/api/middleware.AccessLog.func1",
		"net/http.(*conn).serve", "example.com/shop/api/order.(*Service).Place", "database/sql.(*DB).QueryContext",
		"example.com/shop/api/payment.(*Client).Authorize", "net/http.serverHandler.ServeHTTP", "runtime.gopanic", "encoding/json.(*decodeState).object",
	}
	goFiles = []string{
		"/usr/local/go/src/net/http/server.go:", "/src/api/order/service.go:", "/src/api/middleware/access_log.go:", "/src/api/main.go:",
		"/usr/local/go/src/database/sql/sql.go:", "/src/api/payment/client.go:", "/usr/local/go/src/runtime/panic.go:",
	}

	javaExceptions = []string{
		"java.net.ConnectException: Connection refused (Connection refused)",
		"java.lang.NullPointerException: Cannot invoke \"com.example.orders.Order.getState()\" because \"order\" is null",
		"java.net.SocketTimeoutException: Read timed out",
		"org.springframework.dao.DataIntegrityViolationException: could not execute statement; SQL [n/a]; constraint [orders_pkey]",
		"java.util.concurrent.TimeoutException: Did not observe any item or terminal signal within 3000ms",
		"com.example.orders.OrderNotFoundException: 注文が見つかりません",
	}
	javaFrames = []string{
		"com.example.orders.OrderService.place(OrderService.java:", "com.example.orders.OrderController.create(OrderController.java:",
		"org.springframework.web.servlet.FrameworkServlet.service(FrameworkServlet.java:", "java.base/java.lang.Thread.run(Thread.java:",
		"org.apache.catalina.core.ApplicationFilterChain.internalDoFilter(ApplicationFilterChain.java:",
		"org.springframework.aop.framework.ReflectiveMethodInvocation.proceed(ReflectiveMethodInvocation.java:",
		"org.springframework.transaction.interceptor.TransactionInterceptor.invoke(TransactionInterceptor.java:",
		"java.base/jdk.internal.reflect.DirectMethodHandleAccessor.invoke(DirectMethodHandleAccessor.java:",
		"com.zaxxer.hikari.pool.HikariPool.getConnection(HikariPool.java:", "org.postgresql.Driver.connect(Driver.java:",
		"com.example.orders.PaymentClient$$Lambda/0x00007f3a1c5b.apply(PaymentClient.java:", "io.netty.channel.nio.NioEventLoop.run(NioEventLoop.java:",
	}

	pythonFiles = []string{
		"/var/task/handler.py", "/var/task/orders/repository.py", "/opt/python/botocore/client.py", "/opt/python/urllib3/connectionpool.py",
		"/var/lang/lib/python3.13/json/decoder.py", "/opt/python/sqlalchemy/engine/base.py",
	}
	pythonCalls = []string{
		"lambda_handler\n    return dispatch(event, context)", "save\n    session.execute(statement, parameters)", "_api_call\n    return self._make_api_call(operation_name, kwargs)",
		"urlopen\n    response = self._make_request(conn, method, url, timeout=timeout_obj)", "decode\n    raise JSONDecodeError(\"Expecting value\", s, err.value) from None",
	}
	pythonErrors = []string{
		"ConnectionRefusedError: [Errno 111] Connection refused", "KeyError: 'order_id'", "TimeoutError: timed out",
		"json.decoder.JSONDecodeError: Expecting value: line 1 column 1 (char 0)", "ValueError: 不正な値です: '１２３'",
	}

	japaneseWords = []string{
		"注文", "決済", "在庫", "東京倉庫", "お客様", "メール送信", "配送ラベル", "データベース", "検索インデックス", "夜間バッチ", "クーポン", "ｶﾀｶﾅ",
		"髙島屋", "𠮷野家", "はがき", "ガラス", "〒100-0001", "①②③",
	}
	japaneseParticles = []string{"を", "の", "が", "に", "から", "、", "で"}
	japaneseEndings   = []string{"処理しました。", "開始します。", "失敗しました。再試行します。", "タイムアウトになりました。", "見つかりません！", "完了～♪"}
	japaneseNames     = []string{"佐藤", "鈴木", "髙橋", "渡邉", "Müller", "齋藤", "José", "정우"}
	emojis            = []string{
		"🚀", "✅", "🔥", "👩\u200d💻", "👍🏽", "🎉", "👨\u200d👩\u200d👧\u200d👦", "🇯🇵", "⚠️", "🏳️\u200d🌈", "1️⃣", "🍣",
	}
)
