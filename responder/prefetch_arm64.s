#include "textflag.h"

// func prefetchSlots(index []uint32, numbers []uint32)
TEXT ·prefetchSlots(SB), NOSPLIT, $0-48
	MOVD index_base+0(FP), R0
	MOVD numbers_base+24(FP), R1
	MOVD numbers_len+32(FP), R2
	ADD  R2<<2, R1, R2
	B    check

next:
	MOVWU.P 4(R1), R3
	ADD     R3<<2, R0, R4
	PRFM    (R4), PLDL1KEEP
	ADD     $12, R4 // the last of the window, which may lie in the next line
	PRFM    (R4), PLDL1KEEP

check:
	CMP R1, R2
	BNE next
	RET

// func prefetchRows(rows []row, numbers []uint32)
TEXT ·prefetchRows(SB), NOSPLIT, $0-48
	MOVD rows_base+0(FP), R0
	MOVD numbers_base+24(FP), R1
	MOVD numbers_len+32(FP), R2
	ADD  R2<<2, R1, R2
	B    check

next:
	MOVWU.P 4(R1), R3
	ADD     R3<<1, R3, R3 // a row has 24 bytes
	ADD     R3<<3, R0, R4
	PRFM    (R4), PLDL1KEEP
	PRFM    16(R4), PLDL1KEEP

check:
	CMP R1, R2
	BNE next
	RET
