// Package statement decides a supervising bank's day: the statement (对账单) it sends, compared line by line with the
// cash entries of the ledgers, and the discrepancies (差错) until none is left (M-09). It owns no money: the ledgers
// are package escrow's, and their entries arrive as data in the command.
package statement
