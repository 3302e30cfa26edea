package loggen

// japanese writes a line of a Japanese team.
func japanese(l *line) {
	l.time("2006/01/02 15:04:05.000 ")
	l.oneOf([]string{"【情報】", "【警告】", "【エラー】"})
	for range 2 + l.rng.IntN(5) {
		l.oneOf(japaneseWords)
		l.oneOf(japaneseParticles)
	}
	l.oneOf(japaneseEndings)
	l.str("（注文番号：")
	l.padded(9)
	l.str("、担当：")
	l.oneOf(japaneseNames)
	l.str("）")
}

// emoji writes a line of a chat bot, with characters beyond the first 65,536, zero-width
// joiners, skin tones, flags and variation selectors.
func emoji(l *line) {
	l.oneOf(emojis)
	l.str(" deploy #")
	l.number(100, 9999)
	l.str(" of ")
	l.oneOf(queues)
	l.str(" by @")
	l.oneOf(japaneseNames)
	l.str(" ")
	for range 1 + l.rng.IntN(6) {
		l.oneOf(emojis)
	}
}

// quotes writes a line with many quotes and backslashes.
func quotes(l *line) {
	switch l.rng.IntN(4) {
	case 0: // JSON in JSON
		l.str(`{"level":"warn","body":"{\"user\":{\"id\":`)
		l.number(1, 99_999)
		l.str(`,\"path\":\"C:\\\\Users\\\\`)
		l.oneOf(queues)
		l.str(`\\\\AppData\\\\Local\",\"note\":\"said \\\"`)
		l.oneOf(states)
		l.str(`\\\"\"}}"}`)
	case 1:
		l.str(`copy failed: "\\fileserver\share$\`)
		l.oneOf(queues)
		l.str(`\`)
		l.padded(5)
		l.str(`.csv" -> 'D:\data\"in"\': `)
		l.oneOf(failures)
	case 2:
		l.str(`SELECT "o"."id", "o"."state" FROM "orders" AS "o" WHERE "o"."note" LIKE '%\"`)
		l.oneOf(states)
		l.str(`\"%' ESCAPE '\' AND "o"."id" > `)
		l.number(1, 999_999)
		l.str(` AND a <> b && "x" < "y"`)
	default:
		l.str(`rule \"(?i)^/(v\d+)/([^"\\/]+)(?:\\|/)?$\" did not match "`)
		l.oneOf(routes)
		l.str(`\u00e9\x00\\" \\\"""`)
	}
}
